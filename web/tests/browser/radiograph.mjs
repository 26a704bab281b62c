/** A radiograph on a slow line: coarse, finer, complete; nothing can be measured before. */
import { Screencast } from '../screencast.mjs';
import { Viewer } from './viewer.mjs';
import { behind, still, until, whether } from './waiting.mjs';

const TOKEN = 'browser-test';

/** Opens the image as a user does and looks at what is shown, asked for and, in the end, there. */
export async function loads({ checks, browser, url, series, image, proxy, picture }) {
  proxy.holdAfter(behind(endsOf(series), 2));
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}&token=${TOKEN}`);
  // What is finer waits on the line until what there is of the image is shown.
  const coarse = await viewer.finerThan(0);
  proxy.holdAfter(behind(endsOf(series), 1));
  await viewer.finerThan(coarse);
  proxy.release();
  await viewer.until(`each => each.state === 'complete'`);
  const shown = (await viewer.history()).filter(each => each.quality !== undefined);
  const previews = shown.filter(each => each.quality < 8);
  const last = shown.at(-1);
  const sizes = [...new Set(shown.map(each => each.columns))];

  checks.that('a coarse image comes first', previews.length > 0 && previews[0].columns * 4 <= last.columns, `${sizes.join(', ')} columns`);
  checks.that('finer ones follow', sizes.length >= 3 && sizes.every((size, i) => i === 0 || size > sizes[i - 1]));
  checks.that('then the full one', last.quality === 8, `${last.columns} x ${last.rows}, quality ${last.quality}`);
  if (image.over2000) checks.that('it has a side over 2000 pixels', Math.max(last.columns, last.rows) > 2000);
  checks.that('every preview wears the badge', previews.every(each => /not for measurement/.test(each.badge ?? '') && each.state === 'preview'));
  checks.that('the full image does not', last.badge === null && last.state === 'complete');

  comesOnce(checks, viewer, series);
  authorized(checks, viewer, url);

  const hash = await viewer.page.evaluate(samplesOfStack);
  checks.that('its pixels are those of the reference decoders', image.hashes.has(hash), hash);
  checks.that('no prefix failed to decode', viewer.troubles.length === 0, viewer.troubles[0]);

  await picture(viewer, 'radiograph-complete');
  await viewer.close();
}

/**
 * Opened from the list: its first image is seen while the page's own thread is busy, where OHIF's pane will be. How long that takes beside it is the
 * machine's affair: where the thread was busy for too short a time to tell, the whole is looked at anew with a longer one.
 */
export async function comesFirst({ checks, browser, url, series }) {
  let [both, kept] = [];
  for (const busy of [1500, 6000, 20_000]) {
    [both, kept] = await bothOpenings({ browser, url, series, busy });
    if (both.every(({ seen, end }) => seen !== undefined && seen.at < end)) break;
  }
  for (const [n, { at, end, seen, drawn, off, where }] of both.entries()) {
    const opening = n === 0 ? 'the first time' : 'the second time';
    const said = seen ? `after ${Math.round(seen.at - at)} of ${Math.round(end - at)} ms, SSIM ${seen.ssim.toFixed(3)}; drawn ${Math.round(drawn - at)}` : 'never';
    checks.that(`${opening} it is seen while the page is busy, and like the final picture`, seen !== undefined && seen.at < end && seen.ssim >= 0.9, said);
    checks.that(`${opening} it lies where the pane will be`, off <= (n === 0 ? 24 : 2), where);
  }
  checks.that('what is kept of it are four numbers', /^\[(-?[\d.]+,){3}-?[\d.]+\]$/.test(kept), kept);
}

/** Two openings out of the list of a fresh browser, each with a thread that is busy for so many ms. */
async function bothOpenings({ browser, url, series, busy }) {
  const viewer = await Viewer.open(browser, url, '/viewer/');
  const { page } = viewer;
  const devtools = await viewer.context.newCDPSession(page);
  await page.waitForSelector('table');
  const all = [];
  while (all.length < 2) {
    await page.waitForTimeout(1000);
    const cast = await Screencast.start(devtools);
    const { at, end, box } = await page.evaluate(openWhileBusy, { path: `/viewer/viewer?StudyInstanceUIDs=${series.study}`, busy });
    await page.waitForFunction(() => globalThis.cornerstone?.getRenderingEngines()?.[0]?.getViewports()[0]?.getCornerstoneImage?.()?.imageQualityStatus === 8);
    const { drawn, place } = await page.evaluate(() => {
      const { left, top, width, height } = document.querySelector('[data-cy="viewport-pane"] .cornerstone-canvas').getBoundingClientRect();
      return { drawn: Number(document.getElementById('firstlight-first-picture').dataset.at), place: { left, top, width, height } };
    });
    await page.waitForFunction(() => document.getElementById('firstlight-first-picture').hidden);
    await page.waitForTimeout(500);
    await cast.stop();
    const rounded = Object.fromEntries(Object.entries(place).map(([side, value]) => [side, Math.round(value)]));
    const [seen] = await cast.judge(browser, [at], rounded, await page.screenshot({ type: 'jpeg', quality: 90 }));
    const off = Math.max(...Object.keys(place).map(side => Math.abs(place[side] - box[side])));
    all.push({ at, end, seen, drawn, off, where: `${off.toFixed(1)} pixels off: ${JSON.stringify(rounded)}` });
    await page.evaluate(go, '/viewer/');
    await page.waitForSelector('table');
  }
  const kept = await page.evaluate(() => localStorage.getItem('firstlight-pane'));
  await viewer.close();
  return [all, kept];
}

/** In the page: a study is opened, and the page is busy for so many ms before OHIF begins. */
function openWhileBusy({ path, busy }) {
  const at = performance.timeOrigin + performance.now();
  history.pushState(null, '', path);
  while (performance.timeOrigin + performance.now() < at + busy);
  const { left, top, width, height } = document.getElementById('firstlight-first-picture').getBoundingClientRect();
  dispatchEvent(new PopStateEvent('popstate'));
  return { at, end: at + busy, box: { left, top, width, height } };
}

/** In the page: another page of the application. */
function go(path) {
  history.pushState(null, '', path);
  dispatchEvent(new PopStateEvent('popstate'));
}

/** Where the levels of the only frame of a series end. */
export const endsOf = series => Object.values(series.levels)[0].frames[0].ends;

/**
 * One request brings the frame; a further one, if there is any, begins where the one before ended, and that is where a level ends. One that asked for all
 * and was given up, because a slow machine kept the line still for too long, is gone on with behind its beginning.
 */
function comesOnce(checks, viewer, series) {
  const [{ frames }] = Object.values(series.levels);
  const ends = new Set(frames[0].ends);
  const ranges = viewer.ranges().map(({ range }) => /^bytes=(\d+)-(\d*)$/.exec(range ?? 'bytes=0-'));
  const parts = ranges.map(found => [Number(found[1]), found[2] === '' ? null : Number(found[2]) + 1]);
  const follows = (from, [began, ended]) => (ended === null ? from > began : from === ended);
  const joined = parts.every(([from], n) => (n === 0 ? from === 0 : follows(from, parts[n - 1])));
  checks.that('the frame was asked for once, or each time from where the last time ended', parts.length > 0 && joined && parts.at(-1)[1] === null, JSON.stringify(parts));
  checks.that('each cut is where a level ends', parts.every(([, to]) => to === null || ends.has(to)));
}

function authorized(checks, viewer, url) {
  const root = `${url}/dicom-web/`;
  const ranges = viewer.ranges();
  const others = viewer.requests.filter(request => !request.url.startsWith(root));
  checks.that('frames carry Authorization', ranges.length > 0 && ranges.every(request => request.authorization === `Bearer ${TOKEN}`));
  const inside = viewer.requests.filter(request => request.url.startsWith(root));
  const without = inside.filter(request => request.authorization === null);
  checks.that('so does every request below the DICOMweb root', without.length === 0, without[0]?.url ?? `${inside.length} requests`);
  checks.that('nothing outside DICOMweb does', others.length > 0 && others.every(request => request.authorization === null), `${others.length} requests`);
}

/** Stops the line while a preview is shown, and tries what must not work then; after the rest has come, it must. */
export async function isLocked({ checks, browser, url, series, proxy, picture }) {
  proxy.holdAfter(behind(endsOf(series), 2));
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`);
  await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
  await until('a frame that waits', () => proxy.waits);
  const held = (await viewer.history()).at(-1);
  if (!checks.that('a preview can be held', held.state === 'preview', `${held.columns} x ${held.rows}`)) return viewer.close();
  await picture(viewer, 'radiograph-coarse');

  for (const tool of ['Length', 'Probe', 'DragProbe', 'RectangleROI']) {
    await viewer.activate(tool);
    await viewer.drag([0.4, 0.4], [0.6, 0.6]);
    const why = await viewer.noted(/preview/);
    const readout = await viewer.page.evaluate(() => document.querySelectorAll('.svg-layer [data-annotation-uid], .svg-layer text').length);
    const there = await viewer.annotations();
    checks.that(`${tool} says at the cursor why it waits`, /preview/.test(why), why);
    checks.that(`${tool} on a preview is refused`, there.length === 0 && readout === 0, [...there, `${readout} texts`].join(' '));
  }
  await viewer.activate('WindowLevel');
  const before = await viewer.page.evaluate(window);
  await viewer.drag([0.4, 0.4], [0.6, 0.5]);
  checks.that('the window can be changed on a preview', await whether(until('another window', () => viewer.page.evaluate(window), now => now !== before)));

  await viewer.page.locator('[data-cy="Capture"]').click();
  const why = await whether(viewer.page.getByText('The image is not complete yet').first().waitFor());
  checks.that('capture of a preview is refused', (await still(() => viewer.page.locator('[role="dialog"] img, [role="dialog"] canvas').count(), 500)) === 0);
  checks.that('and says why', why);
  checks.that('it still was the same preview', (await viewer.history()).at(-1).quality === held.quality);

  // A press is delivered up to 400 ms late with the points of its beginning: it must not become a measurement.
  await viewer.activate('Length');
  const box = await viewer.box();
  await viewer.page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.4);
  await viewer.page.mouse.down();
  proxy.release();
  await viewer.until(`each => each.state === 'complete'`);
  const note = await viewer.noted(/can be used now/);
  checks.that('the note tells that the tool can be used now', /can be used now/.test(note), note);
  const captured = await whether(viewer.page.locator('[role="dialog"]').first().waitFor());
  checks.that('the capture that was refused begins by itself', captured);
  await viewer.page.keyboard.press('Escape');
  await viewer.page.locator('[role="dialog"]').first().waitFor({ state: 'hidden' });
  await viewer.page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.6, { steps: 5 });
  await viewer.page.mouse.up();
  checks.that('a press that began on the preview stays refused', (await still(() => viewer.annotations(), 600)).length === 0);

  await viewer.measure('Length', [0.5, 0.3], [0.5, 0.7]);
  const isRight = ({ length, truth }) => Math.abs(length - truth) < 0.02 * truth;
  // The figure follows its line with the next picture.
  const look = () => viewer.page.evaluate(lengthAndTruth);
  const measured = await until('the right length', look, seen => seen.truth === 0 || isRight(seen)).catch(look);
  const there = await viewer.annotations();
  checks.that('the complete image can be measured', there.length === 1 && there[0] === 'Length');
  if (measured.truth > 0) {
    checks.that('and rightly', isRight(measured), `${measured.length.toFixed(1)} of ${measured.truth.toFixed(1)} ${measured.unit}`);
  } else {
    checks.skip('the length measured', 'this image has no pixel spacing');
  }
  await viewer.page.locator('[data-cy="Capture"]').click();
  checks.that('and captured', await whether(viewer.page.locator('[role="dialog"]').first().waitFor()));
  await viewer.close();
}

/** Breaks the line in the middle, and answers for the rest, once, out of another object of the same size: a mixture must not pass for the image. */
export async function survives({ checks, browser, url, series, image, proxy }) {
  let changed;
  const change = async route => {
    const { range = '' } = route.request().headers();
    if (changed !== undefined || !/^bytes=[1-9]\d*-$/.test(range)) return route.continue();
    changed = range;
    try {
      const response = await route.fetch();
      const body = (await response.body()).map((byte, i) => (i > 10_000 && i < 50_000 ? byte ^ 0x15 : byte));
      await route.fulfill({ response, body: Buffer.from(body), headers: { ...response.headers(), etag: '"another"' } });
    } catch {
      // It was on the line that was lost: the next one is changed.
      changed = undefined;
      await route.abort();
    }
  };
  const path = `/viewer/viewer?StudyInstanceUIDs=${series.study}`;
  // The line stops between two levels, and there it is lost.
  proxy.holdAfter(behind(endsOf(series), 1));
  const viewer = await Viewer.open(browser, url, path, page => page.route('**/frames/1', change));
  await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
  await until('a frame that waits', () => proxy.waits);
  proxy.release();
  proxy.cut();
  await viewer.until(`each => each.state === 'complete'`);
  const shown = (await viewer.history()).filter(each => each.quality !== undefined);
  const asked = viewer.ranges().map(({ range }) => range);
  checks.that('ranges of two objects are never joined', changed !== undefined && shown.filter(each => each.quality === 8).length === 1);
  checks.that('the image is then fetched anew, from its beginning', asked[asked.lastIndexOf(changed) + 1] === null, `${changed} of ${JSON.stringify(asked)}`);
  const hash = await viewer.page.evaluate(samplesOfStack);
  checks.that('and has the pixels of the reference decoders', image.hashes.has(hash), hash);
  await viewer.close();
}

/** In the page: the window of the first viewport. */
function window() {
  return JSON.stringify(globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0].getProperties().voiRange);
}

/** In the page: SHA-256 of the stored samples (before the modality transformation), little endian, of the shown image. */
export async function samplesOfStack() {
  const viewport = globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0];
  const { imageId } = viewport.getCornerstoneImage();
  const image = globalThis.cornerstone.cache.getImage(imageId) ?? viewport.getCornerstoneImage();
  const pixel = globalThis.cornerstone.metaData.get('imagePixelModule', imageId);
  const scaled = image.preScale?.scaled === true;
  const { slope, intercept } = image;
  const Container = pixel.bitsAllocated === 8 ? Uint8Array : pixel.pixelRepresentation === 1 ? Int16Array : Uint16Array;
  const samples = Container.from(image.voxelManager.getScalarData(), value => (scaled ? (value - intercept) / slope : value));
  const digest = await crypto.subtle.digest('SHA-256', samples);
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
}

/** In the page: the length that the tool gives for the only annotation, and the one of its rows on the detector. */
function lengthAndTruth() {
  const [annotation] = globalThis.measurements();
  const stats = Object.values(annotation?.data.cachedStats ?? {})[0] ?? {};
  const viewport = globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0];
  if (!annotation) return { truth: 0 };
  const { rows, imageId } = viewport.getCornerstoneImage();
  const { rowPixelSpacing } = globalThis.cornerstone.metaData.get('imagePlaneModule', imageId);
  const { height, width } = viewport.element.getBoundingClientRect();
  const [start, end] = annotation.data.handles.points.map(point => viewport.worldToCanvas(point));
  const { columns } = viewport.getCornerstoneImage();
  const pixelsPerRow = Math.min(height / rows, width / columns);
  const mm = (Math.abs(end[1] - start[1]) / pixelsPerRow) * rowPixelSpacing;
  return { length: stats.length, unit: stats.unit, truth: mm };
}
