/** 500 CT slices under a finger, on a phone whose processor is four times slower: images a second, and the memory of an hour of them. */
import { ShapingProxy } from '../tests/shaping-proxy.mjs';
import { PHONE } from './cold.mjs';
import { LINES } from './openings.mjs';

/** Points of the screen that the finger travels a second: forty slices. */
const SPEED = 80;
/** A swipe, in points: it begins below the words at the top. */
const SWIPE = { x: 195, from: 260, by: 400 };
/** An hour of looking at ten images a second. */
const HOUR = 36_000;
/** Images after which memory is read. */
const EVERY = 1200;

async function onPhone(browser, site, speed, rate, body) {
  const line = new ShapingProxy({ port: site.port, mbit: LINES[speed][0], delay: LINES[speed][1] });
  const context = await browser.newContext(PHONE);
  try {
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate });
    const { study, series, count } = site.series.ct500;
    await page.goto(`http://127.0.0.1:${await line.listen()}/light/?study=${study}&series=${series}`);
    await page.waitForFunction(count => document.querySelector('.viewport')?.dataset.level === '0' && document.querySelector('.viewport .index').textContent.endsWith(`/ ${count}`), count, { timeout: 240_000 });
    return await body({ page, devtools, line });
  } finally {
    await context.close();
    line.close();
  }
}

/** Swipes down through the series; what was drawn meanwhile is noted in the page. */
export const swipes = (browser, site, speed) =>
  onPhone(browser, site, speed, 4, async ({ page, devtools, line }) => {
    await page.evaluate(toFirst);
    await page.waitForTimeout(1500);
    await page.evaluate(note);
    const before = [line.bytes, line.frames.length];
    for (let n = 0; n < 2; n++) await devtools.send('Input.synthesizeScrollGesture', { x: SWIPE.x, y: SWIPE.from, yDistance: SWIPE.by, speed: SPEED, gestureSourceType: 'touch', preventFling: true });
    const row = await page.evaluate(told);
    return { ...row, kB: Math.round((line.bytes - before[0]) / 1000), requests: line.frames.length - before[1], memory: await memory(page, devtools) };
  });

/** Back and forth through the series, an image a frame, until an hour's worth was shown. */
export const hour = (browser, site, images = HOUR) =>
  onPhone(browser, site, '4g', 1, async ({ page, devtools }) => {
    const samples = [];
    for (let shown = 0; shown < images; shown += EVERY) {
      await page.evaluate(backAndForth, { from: shown, steps: EVERY });
      const garbage = await memory(page, devtools);
      await devtools.send('HeapProfiler.collectGarbage');
      samples.push({ ...(await memory(page, devtools)), withGarbage: garbage.all });
    }
    const mean = part => part.reduce((sum, { all }) => sum + all, 0) / part.length;
    // The first ones fill what memory may hold.
    const held = samples.slice(Math.ceil(samples.length / 5));
    const third = Math.ceil(held.length / 3);
    return { images, peak: Math.max(...samples.map(({ withGarbage }) => withGarbage)), growth: +(mean(held.slice(-third)) / mean(held.slice(0, third))).toFixed(3), last: samples.at(-1), steps: samples.map(({ all }) => all) };
  });

/** In MB: script heap, buffers (images and codestreams), the decoder's memory, canvases. */
async function memory(page, devtools) {
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await devtools.send('Runtime.getHeapUsage');
  const told = await page.evaluate(() => window.firstlight.memory());
  const parts = { heap: usedSize + embedderHeapUsedSize, buffers: backingStorageSize, wasm: told.workers, canvases: told.canvases };
  const MB = bytes => +(bytes / 1e6).toFixed(1);
  return { ...Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [name, MB(bytes)])), all: MB(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)) };
}

/** In the page: to the first slice. */
function toFirst() {
  const slider = document.getElementById('slider');
  slider.value = '0';
  slider.dispatchEvent(new Event('input'));
}

/** In the page: notes each slice as it is drawn, and its level. */
function note() {
  const viewport = document.querySelector('.viewport');
  globalThis.drawn = [];
  let last = '';
  new MutationObserver(() => {
    const { index, level } = viewport.dataset;
    if (level === '' || last === `${index} ${level}`) return;
    last = `${index} ${level}`;
    globalThis.drawn.push([performance.now(), Number(index), Number(level)]);
  }).observe(viewport, { attributes: true, attributeFilter: ['data-index', 'data-level'] });
}

/** In the page: slices a second that were shown at level 1 or finer, the longest time without one, and how many were coarser. */
function told() {
  const fine = globalThis.drawn.filter(([, , level]) => level <= 1);
  const slices = new Set(fine.map(([, index]) => index));
  const coarser = new Set(globalThis.drawn.map(([, index]) => index).filter(index => !slices.has(index)));
  const times = fine.map(([at]) => at);
  const gaps = times.slice(1).map((at, n) => at - times[n]);
  const seconds = (times.at(-1) - times[0]) / 1000;
  return { perSecond: +(slices.size / seconds).toFixed(1), slices: slices.size, coarser: coarser.size, longestGap: Math.round(Math.max(...gaps)) };
}

/** In the page: steps through the series, one a frame, and turns at its ends. */
function backAndForth({ from, steps }) {
  const slider = document.getElementById('slider');
  const most = Number(slider.max);
  return new Promise(done => {
    let n = 0;
    const step = () => {
      if (n++ >= steps) return done();
      const at = (from + n) % (2 * most);
      slider.value = String(at <= most ? at : 2 * most - at);
      slider.dispatchEvent(new Event('input'));
      requestAnimationFrame(step);
    };
    step();
  });
}
