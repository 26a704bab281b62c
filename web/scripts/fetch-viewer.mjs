#!/usr/bin/env node
/**
 * Lands the stock OHIF viewer in a folder that `firstlight serve --viewer DIR` can hand out.
 *
 *     node scripts/fetch-viewer.mjs [DIR] [--no-compression]
 *
 * The package named in viewer.json comes from the npm registry and must have the SHA-512 written there. Its `dist` is
 * unpacked without `ort/` (136 MB that the viewer does not load) and moved below the public path. The published build
 * was made for the root of a host; the public path is a constant of that build, so it is set where the build wrote it:
 * in index.html, in the style sheets, in the manifest and in each bundle's runtime. Nothing else is touched.
 *
 * Every text file of some size gets a `.br` and a `.gz` beside it (some minutes, once), so that the server need not compress at run time.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compressAll } from './compress.mjs';

const run = promisify(execFile);

const HERE = dirname(fileURLToPath(import.meta.url));
const STAMP = '.firstlight-viewer.json';
/** Raised when what this script does to the files changes, so that an older folder is made anew. */
const RECIPE = 2;
const LEFT_OUT = ['ort', 'app-config.js', 'sw.js'];

async function main() {
  const args = process.argv.slice(2);
  const compressing = !args.includes('--no-compression');
  const target = resolve(args.find(arg => !arg.startsWith('--')) ?? join(HERE, '..', '..', '.cache', 'viewer'));
  const viewer = JSON.parse(await readFile(join(HERE, '..', 'viewer.json'), 'utf8'));
  const stamp = JSON.stringify({ ...viewer, recipe: RECIPE, compressed: compressing });

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
    const note = compressing ? await compress(dist) : '';
    await writeFile(join(dist, STAMP), stamp);
    await rm(target, { recursive: true, force: true });
    await rename(dist, target);
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

/** Says how far it is, a line for each tenth. */
async function compress(folder) {
  const begun = Date.now();
  let told = 0;
  const all = await compressAll(folder, ({ files, done, bytes, read }) => {
    const tenth = Math.floor((10 * read) / bytes);
    if (tenth > told) console.error(`viewer: compressing, ${tenth * 10} % (${done} of ${files} files, ${Math.round((Date.now() - begun) / 1000)} s)`);
    told = Math.max(told, tenth);
  });
  const mb = bytes => `${(bytes / 1e6).toFixed(1)} MB`;
  return `, ${mb(all.bytes)} of text are ${mb(all.br)} with brotli and ${mb(all.gz)} with gzip`;
}

main().catch(error => {
  console.error(`viewer: ${error.message}`);
  process.exit(1);
});
