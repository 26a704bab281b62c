/** A radiograph on a slow line: coarse, finer, complete; nothing can be measured before. */
import { Viewer } from './viewer.mjs';

const TOKEN = 'browser-test';

/** Opens the image as a user does and looks at what is shown, asked for and, in the end, there. */
export async function loads({ checks, browser, url, series, image, picture }) {
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}&token=${TOKEN}`);
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

  cutsAtLevels(checks, viewer, series);
  authorized(checks, viewer, url);

  const hash = await viewer.page.evaluate(samplesOfStack);
  checks.that('its pixels are those of the reference decoders', image.hashes.has(hash), hash);
  checks.that('no prefix failed to decode', viewer.troubles.length === 0, viewer.troubles[0]);

  const { started, asked } = await viewer.page.evaluate(() => {
    const frames = performance.getEntriesByType('resource').filter(entry => /\/frames\/1$/.test(entry.name));
    return { started: Math.round(Math.min(...frames.map(entry => entry.startTime))), asked: frames.length };
  });
  console.log(`     first image ${previews[0]?.at - started} ms, complete ${last.at - started} ms after the first of ${asked} requests`);
  await picture(viewer, 'radiograph-complete');
  await viewer.close();
}

/** Each range that was asked for ends where a level ends, or takes all the rest. */
function cutsAtLevels(checks, viewer, series) {
  const [{ bodyOffset, frames }] = Object.values(series.levels);
  const ends = new Set(frames[0].ends.map(end => bodyOffset + end));
  const ranges = viewer.ranges().map(request => request.range);
  const cuts = ranges.map(range => /^bytes=\d+-(\d+)$/.exec(range ?? '')).filter(Boolean).map(found => Number(found[1]) + 1);
  checks.that('the frame came in ranges', ranges.length >= 3 && ranges.every(range => range !== null), ranges.join(' '));
  checks.that('each cut is where a level ends', cuts.length > 0 && cuts.every(cut => ends.has(cut)), cuts.join(', '));
}

function authorized(checks, viewer, url) {
  const root = `${url}/dicom-web/`;
  const ranges = viewer.ranges();
  const others = viewer.requests.filter(request => !request.url.startsWith(root));
  checks.that('byte ranges carry Authorization', ranges.length > 0 && ranges.every(request => request.authorization === `Bearer ${TOKEN}`));
  const inside = viewer.requests.filter(request => request.url.startsWith(root));
  const without = inside.filter(request => request.authorization === null);
  checks.that('so does every request below the DICOMweb root', without.length === 0, without[0]?.url ?? `${inside.length} requests`);
  checks.that('nothing outside DICOMweb does', others.length > 0 && others.every(request => request.authorization === null), `${others.length} requests`);
}

/** Stops the line while a preview is shown, and tries what must not work then; after the rest has come, it must. */
export async function isLocked({ checks, browser, url, series, proxy, picture }) {
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`);
  await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
  proxy.hold();
  await viewer.page.waitForTimeout(1000);
  const held = (await viewer.history()).at(-1);
  if (!checks.that('a preview can be held', held.state === 'preview', `${held.columns} x ${held.rows}`)) return viewer.close();
  await picture(viewer, 'radiograph-coarse');

  for (const tool of ['Length', 'Probe', 'DragProbe', 'RectangleROI']) {
    await viewer.activate(tool);
    await viewer.drag([0.4, 0.4], [0.6, 0.6]);
    const readout = await viewer.page.evaluate(() => document.querySelectorAll('.svg-layer [data-annotation-uid], .svg-layer text').length);
    const there = await viewer.annotations();
    checks.that(`${tool} on a preview is refused`, there.length === 0 && readout === 0, [...there, `${readout} texts`].join(' '));
  }
  await viewer.activate('WindowLevel');
  const before = await viewer.page.evaluate(window);
  await viewer.drag([0.4, 0.4], [0.6, 0.5]);
  checks.that('the window can be changed on a preview', (await viewer.page.evaluate(window)) !== before);

  await viewer.page.locator('[data-cy="Capture"]').click();
  await viewer.page.waitForTimeout(1000);
  checks.that('capture of a preview is refused', (await viewer.page.locator('[role="dialog"] img, [role="dialog"] canvas').count()) === 0);
  checks.that('and says why', await viewer.page.getByText('The image is not complete yet').first().isVisible());
  checks.that('it still was the same preview', (await viewer.history()).at(-1).quality === held.quality);

  // A press is delivered up to 400 ms late with the points of its beginning: it must not become a measurement.
  await viewer.activate('Length');
  const box = await viewer.box();
  await viewer.page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.4);
  await viewer.page.mouse.down();
  proxy.release();
  await viewer.until(`each => each.state === 'complete'`);
  await viewer.page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.6, { steps: 5 });
  await viewer.page.mouse.up();
  await viewer.page.waitForTimeout(600);
  checks.that('a press that began on the preview stays refused', (await viewer.annotations()).length === 0);

  await viewer.drag([0.5, 0.3], [0.5, 0.7]);
  const measured = await viewer.page.evaluate(lengthAndTruth);
  const there = await viewer.annotations();
  checks.that('the complete image can be measured', there.length === 1 && there[0] === 'Length');
  if (measured.truth > 0) {
    const right = Math.abs(measured.length - measured.truth) < 0.02 * measured.truth;
    checks.that('and rightly', right, `${measured.length.toFixed(1)} of ${measured.truth.toFixed(1)} ${measured.unit}`);
  } else {
    checks.skip('the length measured', 'this image has no pixel spacing');
  }
  await viewer.page.locator('[data-cy="Capture"]').click();
  await viewer.page.waitForTimeout(1500);
  checks.that('and captured', (await viewer.page.locator('[role="dialog"]').count()) > 0);
  await viewer.close();
}

/** Answers the last range, once, out of another object of the same size: a mixture must not pass for the image. */
export async function survives({ checks, browser, url, series, image }) {
  let changed = 0;
  const change = async route => {
    const last = /^bytes=\d+-$/.test(route.request().headers().range ?? '') && changed++ === 0;
    if (!last) return route.continue();
    const response = await route.fetch();
    const body = (await response.body()).map((byte, i) => (i > 10_000 && i < 50_000 ? byte ^ 0x15 : byte));
    return route.fulfill({ response, body: Buffer.from(body), headers: { ...response.headers(), etag: '"another"' } });
  };
  const path = `/viewer/viewer?StudyInstanceUIDs=${series.study}`;
  const viewer = await Viewer.open(browser, url, path, page => page.route('**/frames/1', change));
  await viewer.until(`each => each.state === 'complete'`);
  const shown = (await viewer.history()).filter(each => each.quality !== undefined);
  const whole = viewer.ranges().filter(request => request.range === null);
  checks.that('ranges of two objects are never joined', changed === 1 && shown.filter(each => each.quality === 8).length === 1);
  checks.that('the image is then fetched whole', whole.length === 1);
  const hash = await viewer.page.evaluate(samplesOfStack);
  checks.that('and has the pixels of the reference decoders', image.hashes.has(hash), hash);
  await viewer.close();
}

/** In the page: the window of the first viewport. */
function window() {
  return JSON.stringify(globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0].getProperties().voiRange);
}

/** In the page: SHA-256 of the stored samples (before the modality transformation), little endian, of the shown image. */
async function samplesOfStack() {
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
