/**
 * First light: the study's first image before OHIF is there, on a slow line; and the same link without it, in the same run.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ShapingProxy } from '../shaping-proxy.mjs';
import { Archive } from './archive.mjs';
import { leave } from './viewer.mjs';
import { PATIENCE, still, until, whether } from './waiting.mjs';

const WEB = resolve(import.meta.dirname, '..', '..', 'dist');
/** Slow 4g. */
const LINE = { mbit: 4, delay: 80 };
const WINDOW = { width: 1280, height: 800 };
const OVERLAY = '#firstlight-first-light';

/** Opens a link in a fresh profile, or in the given one; notes when OHIF shows an image of its own, and each request. */
async function open(browser, url, study, { context, prepare } = {}) {
  context ??= await browser.newContext({ viewport: WINDOW });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  await page.addInitScript(() => {
    localStorage.setItem('shownTours', '["basicViewerTour"]');
    const withImage = new WeakSet();
    document.addEventListener('CORNERSTONE_STACK_NEW_IMAGE', event => withImage.add(event.target), true);
    document.addEventListener('CORNERSTONE_IMAGE_RENDERED', event => withImage.has(event.target) && (globalThis.ready ??= performance.now()), true);
  });
  const [requests, bytes, troubles] = [[], new Map(), []];
  page.on('request', request => requests.push({ url: request.url(), headers: request.headers(), request }));
  page.on('pageerror', error => troubles.push(error.message));
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  const names = new Map();
  network.on('Network.responseReceived', ({ requestId, response }) => names.set(requestId, response.url));
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const name = names.get(requestId);
    if (name) bytes.set(name, (bytes.get(name) ?? 0) + encodedDataLength);
  });
  await prepare?.(page);
  await page.goto(`${url}/viewer/viewer?StudyInstanceUIDs=${study}`, { waitUntil: 'commit' });
  return { page, context, requests, bytes, troubles };
}

const ready = page => page.waitForFunction(() => globalThis.ready !== undefined, null, { timeout: 2 * PATIENCE, polling: 50 });
const mark = (page, name) => page.evaluate(name => performance.getEntriesByType('mark').find(each => each.name.startsWith(name))?.startTime, name);
const gone = page => page.waitForSelector(OVERLAY, { state: 'detached' });
const ms = value => `${Math.round(value)} ms`;

/** The goal of the first image: everything of it at once on the line, after the round trips that it needs. */
async function limit(browser, url, bytes) {
  const context = await browser.newContext({ viewport: WINDOW });
  const page = await context.newPage();
  await page.goto(`${url}/healthz`);
  const { start, answered } = await page.evaluate(() => {
    const [entry] = performance.getEntriesByType('navigation');
    return { start: entry.requestStart, answered: entry.domContentLoadedEventEnd - entry.responseEnd };
  });
  await leave(context);
  return { start: start + answered, line: 3 * LINE.delay + bytes / ((LINE.mbit * 1e6) / 8 / 1000) };
}

/** The line: both pages on one and the same, one after the other. */
export async function onSlowLine({ checks, browser, image, picture }) {
  const plain = await mkdtemp(join(tmpdir(), 'firstlight-web-'));
  await cp(WEB, plain, { recursive: true });
  await rm(join(plain, 'viewer', 'first-light.html'));
  const [ours, theirs] = [await Archive.start([image.path], 1), await Archive.start([image.path], 1, plain)];
  const [line, plainLine] = [ours, theirs].map(({ port }) => new ShapingProxy({ port, ...LINE }));
  try {
    const [url, plainUrl] = [await line.listen(), await plainLine.listen()].map(port => `http://127.0.0.1:${port}`);
    const [{ study, path, levels: known }] = await ours.series();
    const frame = `/dicom-web${path}/instances/${Object.keys(known)[0]}/frames/1`;
    const stock = await open(browser, plainUrl, study);
    await ready(stock.page);
    const without = await stock.page.evaluate(() => globalThis.ready);
    checks.that('the page without first light has none', (await stock.page.$(OVERLAY)) === null && !stock.requests.some(each => each.url.includes('first-light')));
    await leave(stock.context);

    const before = line.bytes;
    const first = await open(browser, url, study);
    const { page, context, requests, troubles } = first;
    await page.waitForSelector(`${OVERLAY} canvas`);
    // The finest level that it fetches.
    await page.waitForFunction(() => performance.getEntriesByType('mark').some(each => /^first-light [3-9]\d\d/.test(each.name)), null, { polling: 10 });
    const sent = line.bytes - before;
    // OHIF waits while its page is looked at.
    line.hold();
    const held = Date.now();
    await picture({ page }, 'first-light');
    checks.that('it says that it is a preview', (await page.textContent(`${OVERLAY} .notice`)) === 'Preview, not for diagnosis: the viewer is loading');
    checks.that('and whose image it is', (await page.textContent(`${OVERLAY} .words`)) !== '');
    await page.mouse.click(640, 400);
    checks.that('no pointer reaches it', await page.evaluate(overlay => !document.elementFromPoint(640, 400)?.closest(overlay), OVERLAY));
    checks.that('its greys are those of the server', ...(await greys(page, `${ours.url}${frame}`)));
    line.release();
    const looked = Date.now() - held;
    await ready(page);
    await gone(page);
    const marks = await page.evaluate(() => performance.getEntriesByType('mark').filter(each => each.name.startsWith('first-light ')).map(each => ({ name: each.name, at: each.startTime })));
    const shown = marks.filter(each => / \d/.test(each.name)).at(-1).at;
    const withIt = await page.evaluate(() => globalThis.ready);
    const bundle = await page.evaluate(() => Math.max(...performance.getEntriesByType('resource').filter(each => /app\.bundle\.[0-9a-f]+\.js/.test(each.name)).map(each => each.responseEnd)));
    checks.that("it is there before OHIF's bundle", shown < bundle, `${ms(shown)} and ${ms(bundle)}`);
    const over = marks.find(each => each.name === 'first-light over').at;
    checks.that('it goes when OHIF shows the image, not before', over >= withIt - 50, `${ms(over)} and ${ms(withIt)}`);
    checks.that("OHIF's own image stands there", await page.evaluate(brightest) > 32);
    const of = pattern => requests.filter(each => pattern.test(each.url));
    const once = [/\/first$/, /first-light-[0-9a-f]{16}\.js$/].map(pattern => of(pattern).length);
    // The loader's worker takes the decoder from the browser's cache.
    const sizes = await Promise.all(of(/htj2k-[0-9a-f]{16}\.wasm$/).map(({ request }) => request.sizes()));
    once.push(sizes.filter(each => each.responseBodySize > 0).length);
    const levels = of(/\/frames\/1$/).filter(each => each.headers.accept?.startsWith('application/octet-stream; transfer-syntax=1.2'));
    checks.that('nothing is asked for twice', once.every(count => count === 1) && levels.length === 1, `${once} and ${levels.length} of the frame: ${levels[0]?.headers.range}`);
    checks.that('without an error', troubles.length === 0, troubles[0]);

    const least = await limit(browser, url, sent);
    console.log(`figures at ${LINE.mbit} Mbit/s and ${LINE.delay} ms, cold: first image ${marks.filter(each => / \d/.test(each.name)).map(each => `${each.name.slice(12)} at ${ms(each.at)}`).join(', ')}; without first light ${ms(without)}`);
    console.log(`  useful image ${(without / shown).toFixed(1)} x sooner; limit ${ms(least.line)} (3 round trips, ${Math.round(sent / 1000)} kB) + ${ms(least.start)} of a blank page: ${(shown / (least.line + least.start)).toFixed(2)} x`);
    console.log(`  OHIF itself ready at ${ms(withIt - looked)}, without first light at ${ms(without)}: ${((withIt - looked) / without).toFixed(3)} x`);
    await secondVisit({ checks, browser, url, study, context, before: first.bytes });
    await leave(context);
  } finally {
    line.close();
    plainLine.close();
    await Promise.all([ours.stop(), theirs.stop()]);
    await rm(plain, { recursive: true, force: true });
  }
}

/** The same browser again: what is named by its content is not even asked for. */
async function secondVisit({ checks, browser, url, study, context, before }) {
  const isBundle = name => /\.(js|css|wasm)$/.test(new URL(name).pathname);
  const total = bytes => [...bytes].filter(([name]) => isBundle(name)).reduce((sum, [, count]) => sum + count, 0);
  const again = await open(browser, url, study, { context });
  await ready(again.page);
  // Those of the first time are there again; what comes after them is of the same kind.
  const isNamed = name => /[0-9a-f]{16}\.(js|css|wasm)$/.test(name);
  await until('the bundles', () => [...again.bytes.keys()].filter(isNamed).length, count => count > 10);
  await still(() => again.bytes.size, 500);
  const named = [...again.bytes].filter(([name]) => isNamed(name));
  const hashed = named.reduce((sum, [, count]) => sum + count, 0);
  const asked = named.filter(([, count]) => count > 0).map(([name, count]) => `${new URL(name).pathname} ${count}`);
  checks.that('a second visit costs no bytes for the bundles', named.length > 10 && hashed === 0, `${named.length} files, ${hashed} bytes${asked.length > 0 ? ` (${asked})` : ''}; ${Math.round(total(before) / 1000)} kB the first time, and ${total(again.bytes)} bytes of answers that nothing changed`);
  await again.page.close();
}

/** Pictures of other kinds, what is no picture, and faults: the viewer comes all the same. */
export async function others({ checks, browser, sources }) {
  const archive = await Archive.serve(sources);
  try {
    const studies = (await archive.json('/studies')).map(each => each['0020000D'].Value[0]);
    const all = [];
    for (const study of studies) all.push({ study, first: (await archive.json(`/studies/${study}/first`)).first });
    for (const { study, first } of all.filter(each => each.first !== null)) await isShown(checks, browser, archive.url, study, first);
    const report = all.find(each => each.first === null);
    const film = all.find(each => each.first?.levels.frames[0]?.ends.length > 1 && each.first.metadata['00280010'].Value[0] > 1000);
    await faults({ checks, browser, url: archive.url, report: report.study, film: film.study });
  } finally {
    await archive.stop();
  }
}

async function isShown(checks, browser, url, study, first) {
  const { levels, metadata, series, instance, frame } = first;
  const kind = `${metadata['00280004'].Value[0]} in ${levels.transferSyntax}`;
  // OHIF's scripts wait, so that its own image does not end this before it is looked at.
  let goOn = () => undefined;
  const bundles = new Promise(go => (goOn = go));
  const { page, requests, troubles, context } = await open(browser, url, study, { prepare: page => page.route(/app\.bundle\.[0-9a-f]+\.js/, route => bundles.then(() => route.continue())) });
  // The finest picture that it makes: the level whose bytes it asks for, or the only one of the server.
  const finest = () => {
    const asked = requests.find(each => /\/frames\/\d+$/.test(each.url));
    const end = Number(/^bytes=0-(\d+)$/.exec(asked?.headers.range ?? '')?.[1] ?? NaN) + 1;
    const level = asked === undefined ? undefined : Number.isNaN(end) ? 0 : levels.frames[0].ends.toReversed().indexOf(end);
    if (level === undefined) return requests.some(each => each.url.includes('/rendered?viewport=')) ? /^first-light \d/ : /$^/;
    return new RegExp(`^first-light ${Math.ceil(metadata['00280011'].Value[0] / 2 ** level)}x`);
  };
  const marks = () => page.evaluate(() => performance.getEntriesByType('mark').map(each => each.name));
  const drawn = await whether(until('its finest picture', marks, names => names.some(name => finest().test(name))));
  if (!drawn) {
    checks.that(`shown: ${kind}`, false, [...(await marks()), ...troubles, ...requests.slice(0, 8).map(each => each.url.slice(-60))].join('; '));
    return leave(context);
  }
  const rendered = requests.filter(each => each.url.includes('/rendered?viewport=')).length;
  checks.that(`shown: ${kind}`, ...(await greys(page, `${url}/dicom-web/studies/${study}/series/${series}/instances/${instance}/frames/${frame}`)));
  checks.that(rendered === 0 ? '  by our decoder' : '  rendered by the server, once', rendered <= 1);
  goOn();
  await ready(page);
  await gone(page);
  checks.that('  and it goes when OHIF shows it', true);
  await leave(context);
}

async function faults({ checks, browser, url, report, film }) {
  const unknown = await open(browser, url, '1.2.3.99');
  await unknown.page.waitForURL('**/notfoundstudy');
  checks.that('an unknown study has none', (await unknown.page.$(OVERLAY)) === null && unknown.troubles.length === 0, unknown.troubles[0]);
  await leave(unknown.context);

  const words = await open(browser, url, report);
  await words.page.waitForFunction(() => performance.getEntriesByName('first-light over').length > 0);
  checks.that('a study without images has none', (await words.page.$(OVERLAY)) === null);
  await leave(words.context);

  let refused = 0;
  const ours = route => route.request().headers().accept?.startsWith('application/octet-stream; transfer-syntax=1.2') === true;
  // OHIF's scripts wait: on a quick machine its own image would end this before the third request.
  let goOn = () => undefined;
  const bundles = new Promise(go => (goOn = go));
  const lost = await open(browser, url, film, {
    prepare: async page => {
      await page.route('**/frames/1', route => (ours(route) && refused++ < 2 ? route.abort() : route.continue()));
      await page.route(/app\.bundle\.[0-9a-f]+\.js/, route => bundles.then(() => route.continue()));
    },
  });
  await lost.page.waitForSelector(`${OVERLAY} canvas`);
  checks.that('a lost connection is tried again', refused >= 2, `${refused} requests of the frame`);
  goOn();
  await ready(lost.page);
  await gone(lost.page);
  checks.that('and the viewer comes all the same', true);
  await leave(lost.context);

  const refusing = await open(browser, url, film, { prepare: page => page.route(/first-light-[0-9a-f]+\.js/, route => route.abort()) });
  await ready(refusing.page);
  checks.that('without our module the viewer comes all the same', (await refusing.page.$(OVERLAY)) === null);
  await leave(refusing.context);

  const broken = await open(browser, url, film, { prepare: page => page.route(/app\.bundle\.[0-9a-f]+\.js/, route => route.abort()) });
  await broken.page.waitForFunction(overlay => document.querySelector(`${overlay} .notice`)?.textContent.includes('could not be loaded'), OVERLAY);
  checks.that('where OHIF cannot be loaded, the page says so', true, await broken.page.textContent(`${OVERLAY} .notice`));
  await leave(broken.context);

  const left = await open(browser, url, film, { prepare: page => page.route(/\/89\.bundle\.[0-9a-f]+\.js/, () => undefined) });
  await left.page.waitForSelector(`${OVERLAY} canvas`);
  await left.page.evaluate(() => history.pushState(null, '', '/viewer/'));
  await gone(left.page);
  checks.that('another page of the viewer ends it', true);
  await leave(left.context);
}

/** In the page: the brightest of OHIF's first canvas. */
function brightest() {
  const canvas = document.querySelector('[data-cy="viewport-pane"] canvas');
  const small = new OffscreenCanvas(64, 64).getContext('2d');
  small.drawImage(canvas, 0, 0, 64, 64);
  return Math.max(...small.getImageData(0, 0, 64, 64).data.filter((_, n) => n % 4 === 0));
}

/** How far the greys of the overlay are from the server's rendering of the same size, on the average. */
async function greys(page, frame) {
  const shown = await page.evaluate(overlay => {
    const canvas = document.querySelector(`${overlay} canvas`);
    return { width: canvas.width, height: canvas.height, url: canvas.toDataURL('image/png') };
  }, OVERLAY);
  // By ways of its own: the page's requests are counted.
  const rendered = await fetch(`${frame}/rendered?viewport=${shown.width},${shown.height}`, { headers: { Accept: 'image/png' } });
  const theirs = `data:image/png;base64,${Buffer.from(await rendered.arrayBuffer()).toString('base64')}`;
  const far = await page.evaluate(async urls => {
    const [ours, theirs] = await Promise.all(
      urls.map(async url => {
        const image = Object.assign(new Image(), { src: url });
        await image.decode();
        const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.width, image.height).data;
      })
    );
    return ours.reduce((sum, value, n) => sum + Math.abs(value - theirs[n]), 0) / ours.length;
  }, [shown.url, theirs]);
  return [far <= 2, `${far.toFixed(2)} of 255 on the average, at ${shown.width} x ${shown.height}`];
}
