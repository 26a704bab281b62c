/**
 * Nothing is in the browser's cache: OHIF by a study's link, and the light page on a phone. What counts as useful is a level with a pixel for four
 * device pixels, which the page itself tells; by a study's link, when the compositor first shows it like the last picture (screencast.mjs).
 */
import { Screencast } from '../tests/screencast.mjs';
import { ShapingProxy } from '../tests/shaping-proxy.mjs';
import { epoch, LINES, OPEN_LINE } from './openings.mjs';

const WAIT = 240_000;
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true };

async function cold(browser, site, speed, path, options, watch) {
  const line = new ShapingProxy({ port: site.port, mbit: LINES[speed][0], delay: LINES[speed][1] });
  const url = `http://127.0.0.1:${await line.listen()}`;
  const context = await browser.newContext(options);
  try {
    await context.addInitScript(watchFirst);
    const page = await context.newPage();
    if (options.isMobile) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: 4 });
    // A phone's processor is slow already.
    const cast = options.isMobile ? undefined : await Screencast.start(await context.newCDPSession(page));
    const start = epoch();
    await page.goto(`${url}${path}`, { waitUntil: 'commit' });
    return await watch({ page, line, start, cast });
  } finally {
    await context.close();
    line.close();
  }
}

/** In the page: when something was first seen, by whom. */
function watchFirst() {
  localStorage.setItem('shownTours', '["basicViewerTour"]');
  const epochNow = () => performance.timeOrigin + performance.now();
  globalThis.first = {};
  const note = (name, more) => (globalThis.first[name] ??= { at: epochNow(), ...more });
  addEventListener(
    'CORNERSTONE_IMAGE_RENDERED',
    event => {
      const viewport = globalThis.cornerstone?.getRenderingEngine(event.detail.renderingEngineId)?.getViewport(event.detail.viewportId);
      const image = viewport?.canvas.width > 300 && viewport.getCornerstoneImage?.();
      if (!image) return;
      const { width, height } = viewport.canvas;
      const share = 1 / Math.min(width / image.columns, height / image.rows) ** 2;
      note('ohif', { columns: image.columns });
      const complete = (image.imageQualityStatus ?? 8) === 8;
      if (share >= 0.25 || complete) note('ohifUseful', { columns: image.columns });
      if (complete) note('complete', {});
    },
    true
  );
  // First light says what it drew by a mark: `first-light 500x532`.
  new PerformanceObserver(list => {
    for (const mark of list.getEntries()) {
      const size = /^first-light (\d+)x(\d+)$/.exec(mark.name);
      if (!size) continue;
      const [columns, rows] = [Number(size[1]), Number(size[2])];
      const shown = { at: performance.timeOrigin + mark.startTime, columns };
      globalThis.first.light ??= shown;
      if (1 / Math.min(innerWidth / columns, innerHeight / rows) ** 2 >= 0.25) globalThis.first.lightUseful ??= shown;
    }
  }).observe({ type: 'mark', buffered: true });
}

/** OHIF by direct link: our first light, and OHIF's own picture. */
export const link = (browser, site, speed, series) =>
  cold(browser, site, speed, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, { viewport: { width: 1400, height: 900 } }, async ({ page, line, start, cast }) => {
    await page.waitForFunction(() => globalThis.first.ohifUseful, null, { timeout: WAIT, polling: 100 });
    await page.waitForTimeout(300);
    await cast.stop();
    line.shape(...OPEN_LINE);
    await page.waitForFunction(() => globalThis.first.complete, null, { timeout: WAIT, polling: 100 });
    await page.waitForTimeout(1000);
    const { light, lightUseful, ohif, ohifUseful, place } = await page.evaluate(toldByPage);
    const told = each => each && { ms: Math.round(each.at - start), kB: Math.round(line.until(each.at) / 1000), columns: each.columns };
    const useful = lightUseful ?? ohifUseful;
    const [seen] = await cast.judge(browser, [useful.at], place, await page.screenshot({ type: 'jpeg', quality: 90 }));
    return { light: told(light), ready: told(ohif), useful: { ...told({ ...useful, at: seen.at }), drawn: Math.round(useful.at - start), ssim: +seen.ssim.toFixed(3) } };
  });

/** In the page: what was seen when, and where the first viewport is. */
function toldByPage() {
  const viewport = globalThis.cornerstone.getRenderingEngines().flatMap(each => each.getViewports()).find(each => each.canvas.width > 300);
  const { left, top, width, height } = viewport.canvas.getBoundingClientRect();
  return { ...globalThis.first, place: { left: Math.round(left), top: Math.round(top), width: Math.round(width), height: Math.round(height) } };
}

/** The light page on a phone whose processor is four times slower. */
export const phone = (browser, site, speed, series) =>
  cold(browser, site, speed, `/light/?study=${series.study}`, PHONE, async ({ page, line, start }) => {
    const useful = await page.waitForFunction(
      ({ columns, rows }) => {
        const level = document.querySelector('[data-level]')?.dataset.level;
        if (level === undefined || level === '') return null;
        const scale = devicePixelRatio * Math.min(innerWidth / columns, innerHeight / rows);
        const share = 1 / (scale * 2 ** Number(level)) ** 2;
        return share >= 0.25 || level === '0' ? { at: performance.timeOrigin + performance.now(), level: Number(level) } : null;
      },
      { columns: series.columns, rows: series.rows },
      { timeout: WAIT, polling: 20 }
    );
    const { at, level } = await useful.jsonValue();
    return { useful: { ms: Math.round(at - start), kB: Math.round(line.until(at) / 1000), level }, end: series.ends.at(-1 - level) };
  });

/** A blank page of the same server: what a browser needs before it can show anything. */
export const blank = (browser, site, speed) =>
  cold(browser, site, speed, '/healthz', PHONE, async ({ page, start }) => {
    await page.waitForFunction(() => document.readyState === 'complete', null, { timeout: WAIT });
    return { ms: Math.round(await page.evaluate(() => performance.timeOrigin + performance.now()) - start) };
  });
