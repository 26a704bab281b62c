// Decodes real frames with htj2k.wasm in Chromium, compares every sample with references that are not ours, and times it
// beside @cornerstonejs/codec-openjph in the same page: node run.mjs FOLDER-OF-THE-MODULE

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';

const HERE = dirname(fileURLToPath(import.meta.url));
const SHARED = process.env.FIRSTLIGHT_SHARED ?? join(HERE, '../../../../shared');
const OPEN = join(SHARED, 'data/open');
const PEER = join(HERE, 'node_modules/@cornerstonejs/codec-openjph/dist');
const ROUNDS = Number(process.env.WASM_ROUNDS ?? 15);

// Real frames, and where their samples are told: raw beside the codestream, or as a hash in REFERENCE.tsv.
const FRAMES = [
  { name: 'CT1', raw: 'CT1.RAW' },
  { name: 'MR1', raw: 'MR1.RAW' },
  { name: 'US1', raw: 'US1.RAW' },
  { name: 'VL1', raw: 'VL1.RAW' },
  { name: 'RG2', reference: 'xr/DICOMHTJ2K__RG2_JPH' },
];

const FLAGS =
  '--no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist --disable-quic ' +
  '--no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage';

async function main(folder) {
  if (!existsSync(OPEN)) {
    console.log(`SKIPPED: no corpus at ${OPEN}`);
    console.log('wasm: 0 passed, 0 failed, 1 skipped');
    return;
  }
  const server = await serve(routes(folder));
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  const browser = await chromium.launchPersistentContext(profile, { executablePath: '/usr/bin/chromium', args: FLAGS.split(' ') });
  let failed = 0;
  try {
    const page = await browser.newPage();
    page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction('window.ready', null, { timeout: 120_000 });
    console.log(`peer: @cornerstonejs/codec-openjph 2.4.11, SIMD level ${await page.evaluate('peer.getSIMDLevel()')}`);
    failed += await decode(page);
    failed += await time(page);
    failed += size(folder);
  } finally {
    await browser.close();
    server.close();
    rmSync(profile, { recursive: true, force: true });
  }
  console.log(`wasm: ${checks - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

let checks = 0;

function check(ok, what) {
  checks += 1;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}`);
  return ok ? 0 : 1;
}

/** Each frame whole, at each level against the peer, and as it arrives. */
async function decode(page) {
  let failed = 0;
  for (const frame of FRAMES) {
    const whole = await page.evaluate((name) => window.whole(name), frame.name);
    failed += check(whole.sha256 === expected(frame), `${frame.name} ${whole.width}x${whole.height}: every sample is the reference's`);
    const arriving = await page.evaluate((name) => window.arriving(name), frame.name);
    const told = arriving.levels.map((l) => `${l.level}@${l.have}`).join(' ');
    failed += check(arriving.last === whole.sha256, `${frame.name} arriving in pieces: levels ${told}, at last the same image`);
    const before = arriving.levels.filter((l) => l.level > 0);
    const same = before.length >= 4 && before.every((l) => l.complete && l.ours === l.peers);
    failed += check(same, `${frame.name}: ${before.length} levels before the last, each as the peer decodes it`);
    const rows = await page.evaluate((name) => window.rows(name, 255, 2), frame.name);
    const took = rows.told ? `${rows.fetched} of ${rows.level} bytes after the level before, asked ${rows.asked} times` : 'not told';
    failed += check(rows.told && rows.same && rows.fetched < rows.level, `${frame.name}: two rows from ranges: ${took}`);
  }
  return failed;
}

/** Medians of interleaved rounds; whether the peer was beaten. */
async function time(page) {
  console.log(`\n${'frame'.padEnd(6)} ${'samples'.padStart(10)} ${'htj2k ms'.padStart(9)} ${'peer ms'.padStart(9)} ${'ratio'.padStart(6)}`);
  const ratios = [];
  for (const { name } of FRAMES) {
    const { samples, ours, peers } = await page.evaluate(([name, rounds]) => window.time(name, rounds), [name, ROUNDS]);
    const ratio = median(peers) / median(ours);
    ratios.push(ratio);
    const figures = [median(ours).toFixed(3), median(peers).toFixed(3)].map((f) => f.padStart(9));
    console.log(`${name.padEnd(6)} ${String(samples).padStart(10)} ${figures.join(' ')} ${ratio.toFixed(2).padStart(6)}`);
  }
  const mean = Math.exp(ratios.reduce((sum, r) => sum + Math.log(r), 0) / ratios.length);
  const least = Math.min(...ratios);
  console.log(`bar wasm-decode-ratio ${mean.toFixed(2)} >= 1.3 ${mean >= 1.3 ? 'ok' : 'short'}`);
  console.log(`bar wasm-decode-least ${least.toFixed(2)} >= 1.0 ${least >= 1 ? 'ok' : 'short'}`);
  return check(mean >= 1, 'decodes faster than the peer, as a geometric mean');
}

/** What a browser loads once: with SIMD, and without. */
function size(folder) {
  let failed = 0;
  for (const name of ['htj2k.wasm', 'htj2k-scalar.wasm']) {
    const kB = gzipSync(readFileSync(join(folder, name)), { level: 9 }).length / 1000;
    if (name === 'htj2k.wasm') console.log(`bar wasm-gzip-kB ${kB.toFixed(1)} <= 100 ${kB <= 100 ? 'ok' : 'short'}`);
    failed += check(kB <= 100, `${name}: ${kB.toFixed(1)} kB with gzip, of 100`);
  }
  return failed;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

function expected({ raw, reference }) {
  if (raw) return createHash('sha256').update(readFileSync(join(OPEN, 'codec/htj2k-wg04', raw))).digest('hex');
  const lines = readFileSync(join(OPEN, 'REFERENCE.tsv'), 'utf8').split('\n');
  const [header, ...rows] = lines.map((line) => line.split('\t'));
  return rows.find((row) => row[0] === reference)[header.indexOf('pixels_sha256')];
}

function routes(folder) {
  const files = {
    '/': ['text/html', join(HERE, 'page.html')],
    '/page.js': ['text/javascript', join(HERE, 'page.js')],
    '/loader.js': ['text/javascript', join(folder, 'loader.js')],
    '/htj2k.wasm': ['application/wasm', join(folder, 'htj2k.wasm')],
    '/openjphjs.js': ['text/javascript', join(PEER, 'openjphjs.js')],
    '/openjphjs.wasm': ['application/wasm', join(PEER, 'openjphjs.wasm')],
  };
  for (const { name } of FRAMES) files[`/${name}.j2c`] = ['application/octet-stream', join(OPEN, 'codec/htj2k-wg04', `${name}.j2c`)];
  return files;
}

function serve(files) {
  const server = createServer((request, response) => {
    const file = files[request.url];
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': file[0] }).end(readFileSync(file[1]));
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

await main(process.argv[2]);
