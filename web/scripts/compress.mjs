#!/usr/bin/env node
/**
 * Compressed files beside files: `.br` and `.gz`, which the server hands out to who takes them. Text and modules only; what gains less
 * than a tenth is left.
 *
 *     node scripts/compress.mjs [FOLDER]
 */
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const KINDS = new Set(['.js', '.mjs', '.css', '.html', '.json', '.jsonc', '.svg', '.wasm', '.txt', '.map', '.ttf', '.ico']);
/** Below this nothing is gained. */
const SMALL = 1024;
/** Source maps are for debuggers alone: the slowest quality is not spent on them. */
const QUALITY = name => (name.endsWith('.map') ? 5 : 11);

const brotli = (bytes, name) =>
  promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY(name),
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    },
  });

/** Compresses all of a folder, as many files at once as there are cores; tells `onFile` of each. Answers the bytes before and after. */
export async function compressAll(folder, onFile = () => {}) {
  const files = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !KINDS.has(extname(entry.name))) continue;
    const { size } = await stat(path);
    if (size >= SMALL) files.push({ path, size });
  }
  // The largest first: at the end no core waits for one of them alone.
  files.sort((a, b) => b.size - a.size);
  const all = { files: files.length, done: 0, bytes: files.reduce((sum, { size }) => sum + size, 0), read: 0, br: 0, gz: 0 };
  const work = async () => {
    for (let file = files.shift(); file; file = files.shift()) {
      const bytes = await readFile(file.path);
      const br = await beside(file.path, 'br', bytes, await brotli(bytes, file.path));
      const gz = await beside(file.path, 'gz', bytes, await promisify(gzip)(bytes, { level: 9 }));
      // Only now: others count beside this.
      all.br += br;
      all.gz += gz;
      all.read += bytes.length;
      all.done += 1;
      onFile(all);
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, work));
  return all;
}

async function beside(path, extension, bytes, packed) {
  if (packed.length >= bytes.length * 0.9) return bytes.length;
  await writeFile(`${path}.${extension}`, packed);
  return packed.length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { files, bytes, br, gz } = await compressAll(process.argv[2] ?? 'dist');
  const kb = count => `${Math.round(count / 1000)} kB`;
  console.log(`${files} files of ${kb(bytes)}: ${kb(br)} with brotli, ${kb(gz)} with gzip`);
}
