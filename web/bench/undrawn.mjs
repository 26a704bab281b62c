/**
 * A CT in MPR with drawing switched off: what the line, the decoders and the page's own work take. Beside the drawn case it tells how much of that is the
 * software GL of a machine without a graphics card.
 */
import { epoch, LINES } from './openings.mjs';

const PATIENCE = 120_000;

export async function undrawn(desk, speed, series) {
  const { page, line } = desk;
  await page.evaluate(() => globalThis.cornerstone.cache.purgeCache());
  await desk.devtools.send('Network.clearBrowserCache');
  line.shape(...LINES[speed]);
  line.frames.length = 0;
  await page.evaluate(switchOff);
  const start = await desk.go(`/viewer/viewer?StudyInstanceUIDs=${series.study}&hangingprotocolId=mpr`);
  await desk.until(() => globalThis.undrawn.complete !== undefined, PATIENCE - (epoch() - start));
  const { covered, own, complete } = await page.evaluate(() => globalThis.undrawn.end());
  const after = at => (at === undefined ? null : Math.round(at - start));
  const row = { request: after(line.frames[0]?.at), covered: after(covered), own: after(own), complete: after(complete) };
  await desk.go('/viewer/');
  await page.waitForTimeout(700);
  return row;
}

/** In the page: engines draw nothing from now on; when every slice of the volume showed something, had values of its own, was full. */
function switchOff() {
  const [OWN, FULL] = [6, 8];
  const epoch = () => performance.timeOrigin + performance.now();
  const found = (globalThis.undrawn = {});
  const stopped = new Map();
  const look = () => {
    for (const engine of globalThis.cornerstone.getRenderingEngines() ?? []) {
      if (stopped.has(engine)) continue;
      stopped.set(engine, engine._renderFlaggedViewports);
      engine._renderFlaggedViewports = () => {
        engine._needsRender.clear();
        engine._animationFrameSet = false;
        engine._animationFrameHandle = null;
      };
    }
    const volume = globalThis.cornerstone.cache.getVolumes?.().find(each => each.cachedFrames);
    if (!volume) return;
    const states = volume.imageIds.map((_, n) => volume.cachedFrames[n] ?? 0);
    if (states.every(state => state > 0)) found.covered ??= epoch();
    if (states.every(state => state >= OWN)) found.own ??= epoch();
    if (states.every(state => state >= FULL)) found.complete ??= epoch();
  };
  const timer = setInterval(look, 20);
  found.end = () => {
    clearInterval(timer);
    for (const [engine, draw] of stopped) engine._renderFlaggedViewports = draw;
    const { covered, own, complete } = found;
    return { covered, own, complete };
  };
}
