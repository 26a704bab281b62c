/**
 * The viewer's app-config as one classic script, which sets `window.config` when it runs; beside it the loading worker and the decoder's modules, under names that
 * say what is in them, so that they may be kept for ever.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, defineConfig } from 'vite';
import { SOURCES } from './packages/sources.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const named = (name: string, source: string | Uint8Array, extension: string) => ({
  fileName: `${name}-${createHash('sha256').update(source).digest('hex').slice(0, 16)}.${extension}`,
  source,
});

async function worker(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: SOURCES },
    build: { write: false, target: 'es2022', lib: { entry: here('packages/ohif/app/worker.ts'), formats: ['es'] } },
    // The page names the module: nothing is to be found beside the worker.
    plugins: [{ name: 'no-module', enforce: 'pre', transform: code => code.replace(/new URL\('\.\/htj2k(-scalar)?\.wasm', import\.meta\.url\)/g, "''") }],
  });
  const [{ output }] = built as { output: { code?: string }[] }[];
  return output.map(each => each.code ?? '').join('');
}

export default defineConfig(async () => {
  const wasm = process.env.WASM_DIR ?? here('../.cache/wasm');
  const files = {
    worker: named('loader', await worker(), 'js'),
    simd: named('htj2k', readFileSync(`${wasm}/htj2k.wasm`), 'wasm'),
    scalar: named('htj2k-scalar', readFileSync(`${wasm}/htj2k-scalar.wasm`), 'wasm'),
  };
  return {
    // A classic script has no module's address.
    define: { 'import.meta.url': '""', LOADER_FILES: JSON.stringify(Object.fromEntries(Object.entries(files).map(([name, { fileName }]) => [name, fileName]))) },
    resolve: { alias: SOURCES },
    build: {
      outDir: 'dist/viewer',
      emptyOutDir: true,
      target: 'es2022',
      lib: { entry: 'packages/ohif/app/app-config.ts', name: 'firstlight', formats: ['iife'], fileName: () => 'app-config.js' },
    },
    plugins: [
      {
        name: 'loader-files',
        enforce: 'pre' as const,
        transform: (code: string, id: string) => (id.includes('htj2k/src/') ? code.replace(/new URL\('\.\/(worker\.js|htj2k(-scalar)?\.wasm)', import\.meta\.url\)/g, "''") : code),
        generateBundle() {
          for (const { fileName, source } of Object.values(files)) this.emitFile({ type: 'asset', fileName, source });
        },
      },
    ],
  };
});
