#!/usr/bin/env node
/**
 * Lands the stock OHIF viewer in a folder that `firstlight serve --viewer DIR` can hand out.
 *
 *     node scripts/fetch-viewer.mjs [DIR] [--no-gzip]
 *
 * The package named in viewer.json comes from the npm registry and must have the SHA-512 written there. Its `dist` is
 * unpacked without `ort/` (136 MB that the viewer does not load) and moved below the public path. The published build
 * was made for the root of a host; the public path is a constant of that build, so it is set where the build wrote it:
 * in index.html, in the style sheets, in the manifest and in each bundle's runtime. Nothing else is touched.
 *
 * Every text file of some size gets a `.gz` beside it, so that the server need not compress at run time.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const run = promisify(execFile);
const compress = promisify(gzip);

const HERE = dirname(fileURLToPath(import.meta.url));
const STAMP = '.firstlight-viewer.json';
/** Raised when what this script does to the files changes, so that an older folder is made anew. */
const RECIPE = 1;
const LEFT_OUT = ['ort', 'app-config.js', 'sw.js'];
const COMPRESSED = new Set(['.js', '.css', '.html', '.json', '.jsonc', '.svg', '.wasm', '.txt', '.map']);

async function main() {
  const args = process.argv.slice(2);
  const withGzip = !args.includes('--no-gzip');
  const target = resolve(args.find(arg => !arg.startsWith('--')) ?? join(HERE, '..', '..', '.cache', 'viewer'));
  const viewer = JSON.parse(await readFile(join(HERE, '..', 'viewer.json'), 'utf8'));
  const stamp = JSON.stringify({ ...viewer, recipe: RECIPE, gzip: withGzip });

  if ((await readFile(join(target, STAMP), 'utf8').catch(() => '')) === stamp) {
    console.error(`viewer: ${viewer.package} ${viewer.version} is in ${target}`);
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.partial-`);
  try {
    const archive = await download(viewer, work);
    await run('tar', ['-xzf', archive, '-C', work, ...LEFT_OUT.map(name => `--exclude=package/dist/${name}`)]);
    const dist = join(work, 'package', 'dist');
    await relocate(dist, viewer.publicPath);
    const saved = withGzip ? await compressAll(dist) : 0;
    await writeFile(join(dist, STAMP), stamp);
    await rm(target, { recursive: true, force: true });
    await rename(dist, target);
    const note = withGzip ? `, ${(saved / 1e6).toFixed(1)} MB saved by gzip` : '';
    console.error(`viewer: ${viewer.package} ${viewer.version} unpacked in ${target}${note}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Fetches the package by the npm client (its registry, proxy and cache settings apply) and checks the hash. */
async function download(viewer, folder) {
  const spec = `${viewer.package}@${viewer.version}`;
  console.error(`viewer: fetching ${spec} (50 MB)`);
  const { stdout } = await run('npm', ['pack', spec, '--pack-destination', folder, '--silent'], { cwd: folder });
  const archive = join(folder, stdout.trim().split('\n').pop());
  const found = `sha512-${createHash('sha512').update(await readFile(archive)).digest('base64')}`;
  if (found !== viewer.integrity) {
    throw new Error(`${spec}: expected ${viewer.integrity}, the registry sent ${found}`);
  }
  return archive;
}

/** Moves the build from `/` to `path`. Each kind of place must be found, or the build is not the one this was made for. */
async function relocate(dist, path) {
  const places = { page: 0, runtime: 0, style: 0, manifest: 0 };
  const edit = async (name, kind, pattern, replacement) => {
    const before = await readFile(join(dist, name), 'utf8');
    const hits = before.match(pattern)?.length ?? 0;
    if (hits > 0) {
      places[kind] += hits;
      await writeFile(join(dist, name), before.replace(pattern, replacement));
    }
  };
  await edit('index.html', 'page', /(\b(?:src|href|content)="|PUBLIC_URL=")\/(?!\/)/g, `$1${path}`);
  await edit('manifest.json', 'manifest', /"\/(?!\/)/g, `"${path}`);
  for (const name of await readdir(dist)) {
    if (name.endsWith('.css')) {
      await edit(name, 'style', /url\(\/(?!\/)/g, `url(${path}`);
    } else if (/\.bundle\.[0-9a-f]+\.js$/.test(name)) {
      await edit(name, 'runtime', /__webpack_require__\.p = "\/";/g, `__webpack_require__.p = "${path}";`);
    }
  }
  for (const [kind, hits] of Object.entries(places)) {
    if (hits === 0) throw new Error(`the viewer's ${kind} names no public path: not the build that viewer.json describes`);
  }
}

async function compressAll(folder) {
  let saved = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !COMPRESSED.has(extname(entry.name))) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await stat(path)).size < 1024) continue;
    const bytes = await readFile(path);
    const packed = await compress(bytes, { level: 9 });
    if (packed.length < bytes.length * 0.9) {
      await writeFile(`${path}.gz`, packed);
      saved += bytes.length - packed.length;
    }
  }
  return saved;
}

main().catch(error => {
  console.error(`viewer: ${error.message}`);
  process.exit(1);
});
