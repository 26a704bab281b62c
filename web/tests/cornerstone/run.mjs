#!/usr/bin/env node
/**
 * The loader with Cornerstone3D from npm, on a bare page, against the real server: each version in a folder `v…` here.
 *
 *     node tests/cornerstone/run.mjs [VERSION]
 *
 * FIRSTLIGHT_BIN names the server. The versions are installed on the first run.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, createReadStream, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { build } from 'vite';
import { Archive } from '../browser/archive.mjs';
import { Checks } from '../browser/checks.mjs';
import { images } from '../browser/images.mjs';
import { endsOf, samplesOfStack } from '../browser/radiograph.mjs';
import { launch } from '../browser/viewer.mjs';
import { samplesOfVolume } from '../browser/volume.mjs';
import { behind, PATIENCE } from '../browser/waiting.mjs';
import { ShapingProxy } from '../shaping-proxy.mjs';

const HERE = import.meta.dirname;
const WASM = process.env.WASM_DIR ?? resolve(HERE, '..', '..', '..', '.cache', 'wasm');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.css': 'text/css' };
const [REDUCED, FULL] = [6, 8];

/** Page and modules of one version, in a folder that goes away. */
async function bundle(version) {
  const folder = join(HERE, version);
  if (!existsSync(join(folder, 'node_modules'))) execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], { cwd: folder, stdio: 'inherit' });
  const out = await mkdtemp(join(tmpdir(), 'firstlight-cornerstone-'));
  Object.assign(process.env, { CORNERSTONE: version, OUT: out });
  await build({ configFile: join(HERE, 'vite.config.ts'), logLevel: 'error' });
  copyFileSync(join(WASM, 'htj2k.wasm'), join(out, 'htj2k.wasm'));
  return out;
}

/** The page's files, and the archive below the same origin. */
function serve(folder, archive) {
  const server = http.createServer((request, response) => {
    if (request.url.startsWith('/dicom-web')) {
      const onward = http.request({ port: archive, path: request.url, method: request.method, headers: request.headers }, answer => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      response.on('close', () => onward.destroy());
      onward.on('error', () => response.destroy());
      return request.pipe(onward);
    }
    const file = join(folder, new URL(request.url, 'http://here').pathname);
    if (!file.startsWith(folder) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  return new Promise(listening => server.listen(0, '127.0.0.1', () => listening(server)));
}

async function stack({ checks, page, proxy, series, image }) {
  // What is finer waits on the line until a coarser level is shown.
  proxy.holdAfter(behind(endsOf(series), 1));
  await page.evaluate(path => void globalThis.stack(`${location.origin}/dicom-web`, path), series.path);
  await page.waitForFunction(reduced => globalThis.shown.some(each => each.quality === reduced), REDUCED);
  proxy.release();
  await page.waitForFunction(full => globalThis.shown.some(each => each.quality === full), FULL);
  const shown = await page.evaluate(() => globalThis.shown.splice(0));
  const previews = shown.filter(each => each.quality === REDUCED);
  const sizes = shown.map(each => each.columns);
  checks.that('a stack shows coarser levels first', previews.length > 0 && previews[0].columns * 2 <= sizes.at(-1), sizes.join(', '));
  checks.that('each finer than the one before', sizes.every((size, n) => n === 0 || size >= sizes[n - 1]));
  const hash = await page.evaluate(samplesOfStack);
  checks.that('the last has the pixels of the reference decoders', image.hashes.has(hash), hash);
}

async function scroll({ checks, page, series }) {
  await page.evaluate(path => globalThis.stack(`${location.origin}/dicom-web`, path), series.path);
  await page.waitForFunction(full => globalThis.shown.some(each => each.quality === full), FULL);
  const right = await page.evaluate(patience => globalThis.scroll(20, 200, patience), PATIENCE);
  checks.that('a slow scroll shows the slice under the index', right === 20, `${right} of 20`);
  const { hits, misses, ahead, wasted } = await page.evaluate(async () => (await globalThis.loading).tally.read());
  checks.that('most of it was fetched ahead', hits > misses, `${hits} hits, ${misses} misses; ${ahead} bytes ahead, ${wasted} not looked at`);
}

async function volume({ checks, page, series, image }) {
  await page.evaluate(path => globalThis.volume(`${location.origin}/dicom-web`, path), series.path);
  await page.waitForFunction(full => globalThis.shown.some(each => each.frames?.every(status => status === full)), FULL, { timeout: 2 * PATIENCE });
  const shown = await page.evaluate(() => globalThis.shown.splice(0));
  const useful = shown.find(each => each.frames?.every(status => status >= REDUCED));
  const then = useful.frames.filter(status => status === FULL).length;
  checks.that('a volume has a useful level of every slice before a tenth is full', then <= image.slices / 10, `${then} of ${image.slices}`);
  const slices = await page.evaluate(samplesOfVolume);
  const right = slices.filter(slice => image.hashes.has(slice.hash)).length;
  checks.that('in the end every slice has the pixels of the reference decoders', right === image.slices, `${right} of ${image.slices}`);
}

async function main() {
  const checks = new Checks();
  const { radiograph, series } = images();
  if (!radiograph || !series) {
    checks.skip('Cornerstone3D alone', 'the corpus in ../shared is not there');
    return checks.close();
  }
  const archive = await Archive.startWithoutPages([radiograph.path, series.path], 1 + series.slices);
  const proxy = new ShapingProxy({ port: archive.port, mbit: 30, delay: 10 });
  const port = await proxy.listen();
  const browser = await launch();
  try {
    const all = await archive.series();
    const film = all.find(each => each.modality !== 'CT');
    const slices = all.find(each => each.modality === 'CT');
    for (const version of readdirSync(HERE).filter(name => /^v\d/.test(name) && (process.argv[2] ?? name) === name).sort()) {
      const folder = await bundle(version);
      const server = await serve(folder, port);
      const parts = [['a stack', stack, film, radiograph], ['a scroll', scroll, slices, series], ['a volume', volume, slices, series]];
      for (const [name, part, of, image] of parts) {
        await checks.part(`Cornerstone3D ${version.slice(1)}: ${name}`, async () => {
          const context = await browser.newContext({ viewport: { width: 800, height: 420 } });
          context.setDefaultTimeout(PATIENCE);
          const page = await context.newPage();
          const errors = [];
          page.on('pageerror', error => errors.push(error.stack ?? error.message));
          page.on('console', message => message.type() === 'error' && !/favicon/.test(message.location().url) && errors.push(message.text()));
          await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
          try {
            await page.waitForFunction(() => globalThis.loading);
            await part({ checks, page, proxy, series: of, image });
          } finally {
            proxy.release();
            checks.that('without an error', errors.length === 0, errors[0]);
            await context.close();
          }
        });
      }
      server.close();
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await browser.close();
    proxy.close();
    await archive.stop();
  }
  return checks.close();
}

process.exit(await main());
