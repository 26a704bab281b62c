/**
 * First light, into web/dist/viewer: the module and its decoder under names that say what is in them, and `first-light.html`, which the
 * server puts into the head of OHIF's page.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, minify, type Plugin } from 'vite';
import { SOURCES } from '../../sources.ts';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const BASE = '/viewer/';

/** A module of the decoder, as scripts/wasm.sh built it. */
function decoder(name: string): { fileName: string; source: Uint8Array } {
  const path = `${process.env.WASM_DIR ?? source('../../../../.cache/wasm')}/${name}.wasm`;
  if (!existsSync(path)) throw new Error(`${path} is not there: make wasm`);
  const bytes = readFileSync(path);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return { fileName: `${name}-${hash}.wasm`, source: bytes };
}

const decoders = [decoder('htj2k'), decoder('htj2k-scalar')] as const;
const [simd, scalar] = decoders;

/** The decoders, and the head. The links come before anything else on the page: what they name is asked for first. */
const head: Plugin = {
  name: 'head',
  async generateBundle(_options, bundle) {
    for (const each of decoders) this.emitFile({ type: 'asset', ...each });
    const module = Object.values(bundle).find(chunk => chunk.type === 'chunk' && chunk.isEntry)!.fileName;
    const { code } = await minify('hold.js', readFileSync(source('hold.js'), 'utf8'));
    const lines = [
      '<link rel="preload" as="fetch" crossorigin fetchpriority="high" data-first-light href="/dicom-web/studies/{study}/first">',
      `<script type="module" async fetchpriority="high" src="${BASE}${module}"></script>`,
      `<link rel="preload" as="fetch" type="application/wasm" crossorigin fetchpriority="high" href="${BASE}${simd.fileName}">`,
      `<script>${code}</script>`,
    ];
    this.emitFile({ type: 'asset', fileName: 'first-light.html', source: lines.join('') });
  },
};

export default defineConfig({
  define: { DECODER: JSON.stringify(BASE + simd.fileName), SCALAR_DECODER: JSON.stringify(BASE + scalar.fileName) },
  build: {
    outDir: source('../../../dist/viewer'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    rollupOptions: { input: { 'first-light': source('main.ts') }, output: { hashCharacters: 'hex', entryFileNames: '[name]-[hash:16].js' } },
  },
  plugins: [head],
  resolve: { alias: SOURCES },
});
