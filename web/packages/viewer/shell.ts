/** What the build adds to the light page: the decoder's modules under names that say what is in them, and the service worker. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const hash = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** A module that scripts/wasm.sh built, and its name here. */
function named(name: string): { bytes: Uint8Array; fileName: string } {
  const path = `${process.env.WASM_DIR ?? source('../../../.cache/wasm')}/${name}.wasm`;
  if (!existsSync(path)) throw new Error(`${path} is not there: make wasm`);
  const bytes = readFileSync(path);
  return { bytes, fileName: `assets/${name}-${hash(bytes)}.wasm` };
}

/** The decoder's modules; `virtual:decoder` says where they are. */
export function decoder(base: string): Plugin {
  let modules: ReturnType<typeof named>[] = [];
  return {
    name: 'decoder',
    buildStart() {
      modules = [named('htj2k'), named('htj2k-scalar')];
      for (const { bytes, fileName } of modules) this.emitFile({ type: 'asset', fileName, source: bytes });
    },
    resolveId: id => (id === 'virtual:decoder' ? '\0virtual:decoder' : undefined),
    load: id => (id === '\0virtual:decoder' ? ['MODULE', 'SCALAR'].map((name, n) => `export const ${name} = ${JSON.stringify(base + modules[n]!.fileName)};`).join('\n') : undefined),
  };
}

/** What is asked for before the page's own script is here: the first picture, and beside it the script of the loading worker. */
export function early(base: string): Plugin {
  const script = () => readFileSync(source('src/early.js'), 'utf8').replace('__DECODER__', base + named('htj2k').fileName);
  const fileName = () => `assets/early-${hash(script())}.js`;
  return {
    name: 'early',
    buildStart() {
      this.emitFile({ type: 'asset', fileName: fileName(), source: script().replace(/^\/\*\*.*\*\/\n/, '') });
    },
    transformIndexHtml: {
      order: 'post',
      handler: (_, { bundle }) => [
        { tag: 'script', attrs: { src: base + fileName() }, injectTo: 'head-prepend' },
        ...Object.keys(bundle ?? {}).filter(name => /\/worker-[\da-f]+\.js$/.test(name)).map(name => ({ tag: 'link', attrs: { rel: 'modulepreload', href: base + name }, injectTo: 'head' as const })),
      ],
    },
  };
}

/** Writes sw.js with the list of the page's files. */
export function shell(base: string): Plugin {
  return {
    name: 'shell',
    writeBundle({ dir }) {
      const files = all(dir!).filter(path => !/\.(br|gz|map)$/.test(path) && path !== 'sw.js');
      // The scalar module is for browsers without SIMD: they fetch it themselves.
      const list = [base, ...files.filter(path => path !== 'index.html' && !path.includes('scalar')).map(path => base + path)];
      const version = hash(files.map(path => hash(readFileSync(join(dir!, path)))).join());
      const worker = readFileSync(source('src/shell-worker.js'), 'utf8').replace('__SHELL__', JSON.stringify(list)).replace('__VERSION__', version);
      writeFileSync(join(dir!, 'sw.js'), worker);
    },
  };
}

function all(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).map(path => relative(dir, join(dir, path))).filter(path => statSync(join(dir, path)).isFile()).sort();
}
