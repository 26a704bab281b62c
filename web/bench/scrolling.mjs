/** A CT stack scrolled on a slow line: how soon each slice shows its own picture, and what prefetch fetched in vain. */
import { Desk, LINES } from './openings.mjs';

const EVERY = 50;
/** A picture of the right slice counts from so many columns. */
const COLUMNS = 128;
/** Where the user is, every 50 ms: three ways to look at 500 slices. */
export const PATTERNS = {
  /** Ten a second, all the way. */
  steady: count => Array.from({ length: 600 }, (_, n) => Math.min(count - 1, 20 + (n >> 1))),
  /** Forwards, a pause, back, a pause: as one looks at something twice. */
  back: count => walk(count, 60, [[1, 50], [0, 30], [-1, 30], [0, 30], [1, 60], [0, 20], [-1, 40], [0, 40], [1, 80]]),
  /** The scroll bar to another place, then slice by slice there. */
  bar: count => walk(count, 10, [[0, 20], [150, 1], [0, 20], [1, 30], [0, 10], [-1, 20], [180, 1], [0, 20], [1, 40], [-1, 30], [-200, 1], [0, 20], [1, 40]]),
  /** Twenty a second, all the way: the bar that is about time. */
  fast: count => Array.from({ length: count }, (_, n) => n),
};

/** Slice numbers from steps of `[slices, how often]`; a step of one is made every second tick. */
function walk(count, from, legs) {
  const path = [];
  let at = from;
  for (const [step, times] of legs) {
    for (let n = 0; n < times; n++) {
      at = Math.min(Math.max(0, at + step), count - 1);
      path.push(at);
      if (Math.abs(step) === 1) path.push(at);
    }
  }
  return path;
}

/** Opens the series in a fresh page, its images over the slow line, and walks. */
export async function scrolling(browser, site, speed, pattern, series) {
  const desk = await Desk.open(browser, site, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, watch);
  try {
    // The application comes at full speed, the images do not.
    await desk.page.waitForRequest(/\/series\/[\d.]+\/metadata/, { timeout: 90_000 });
    desk.line.shape(...LINES[speed]);
    const before = desk.line.bytes;
    await desk.page.waitForFunction(() => globalThis.firstPicture, null, { timeout: 90_000 });
    await desk.page.waitForTimeout(500);
    const row = await desk.page.evaluate(walkThrough, { path: PATTERNS[pattern](series.count), every: EVERY, columns: COLUMNS });
    return { ...row, kB: Math.round((desk.line.bytes - before) / 1000), troubles: desk.troubles.slice(0, 2) };
  } finally {
    await desk.close();
  }
}

/** In the page: notes the first picture. None is kept, as openings do: reading one back takes longer than drawing it. */
function watch() {
  localStorage.setItem('shownTours', '["basicViewerTour"]');
  const note = event => {
    const { renderingEngineId, viewportId } = event.detail;
    const viewport = globalThis.cornerstone?.getRenderingEngine(renderingEngineId)?.getViewport(viewportId);
    // Smaller ones are thumbnails.
    if (viewport?.canvas.width > 300 && viewport.getCornerstoneImage?.()) globalThis.firstPicture ??= performance.now();
  };
  addEventListener('CORNERSTONE_IMAGE_RENDERED', note, true);
}

/** In the page: goes where the path says; when each slice became the one wanted, and when a picture of it was drawn. */
function walkThrough({ path, every, columns }) {
  const viewport = globalThis.cornerstone.getRenderingEngines().flatMap(each => each.getViewports()).find(each => each.element.clientWidth > 300);
  const { element } = viewport;
  const ids = viewport.getImageIds();
  const visits = [];
  let visit;
  let draws = 0;
  const rendered = () => {
    draws++;
    const image = viewport.getCornerstoneImage();
    if (!image || !visit || visit.drawn !== undefined || image.columns < columns) return;
    if (ids.indexOf(image.imageId) === visit.slice && viewport.getCurrentImageIdIndex() === visit.slice) visit.drawn = performance.now();
  };
  element.addEventListener('CORNERSTONE_IMAGE_RENDERED', rendered);
  const counted = globalThis.firstlight?.prefetch?.();
  return new Promise(done => {
    let n = 0;
    let slice = viewport.getCurrentImageIdIndex();
    const began = performance.now();
    const timer = setInterval(() => {
      if (n >= path.length) {
        clearInterval(timer);
        setTimeout(() => {
          element.removeEventListener('CORNERSTONE_IMAGE_RENDERED', rendered);
          const waits = visits.map(each => (each.drawn === undefined ? Infinity : each.drawn - each.at));
          const sorted = waits.filter(Number.isFinite).sort((a, b) => a - b);
          const now = globalThis.firstlight?.prefetch?.();
          done({
            visits: visits.length,
            within100: waits.filter(wait => wait <= 100).length,
            never: waits.filter(wait => wait === Infinity).length,
            draws,
            median: Math.round(sorted[sorted.length >> 1] ?? NaN),
            late: Math.round((performance.now() - began - 3000) - path.length * every),
            // What was fetched before the first step may be looked at later: bytes are those of the whole visit.
            prefetch: now && { ...now, hits: now.hits - counted.hits, misses: now.misses - counted.misses },
          });
        }, 3000);
        return;
      }
      const to = path[n++];
      if (to === slice) return;
      visit = { slice: to, at: performance.now() };
      visits.push(visit);
      // What the wheel does for a step, and the scroll bar for more.
      if (Math.abs(to - slice) === 1) viewport.scroll(to - slice);
      else void viewport.setImageIdIndex(to);
      slice = to;
    }, every);
  });
}
