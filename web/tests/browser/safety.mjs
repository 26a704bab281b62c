/**
 * What may be measured on what: each viewport type, each tool that the page has, each state of a preview. Refused with the reason at the cursor, or equal
 * to what the full image gives, in mm, mean and standard deviation. Tools are those that the page itself lists: one that nobody thought of is tried too.
 */
import { LightPage } from './light-page.mjs';
import { endsOf } from './radiograph.mjs';
import { Viewer } from './viewer.mjs';
import { behind, still, until } from './waiting.mjs';

/** Tools that take no value and no place from the image. */
const LOOKING = ['WindowLevel', 'Pan', 'Zoom', 'StackScroll', 'TrackballRotate', 'Crosshairs', 'Magnify', 'AdvancedMagnify', 'ReferenceLines', 'ScaleOverlay', 'ImageOverlayViewer', 'OrientationMarker', 'ReferenceCursors', 'WindowLevelRegion', 'PlanarRotate', 'VolumeRotate', 'VolumeCropping', 'VolumeCroppingControl', 'MipJumpToClick', 'SegmentLabel', 'DICOMOverlay', 'DICOMSRDisplay', 'SRLength', 'SRBidirectional', 'SREllipticalROI', 'SRCircleROI', 'SRArrowAnnotate', 'SRAngle', 'SRCobbAngle', 'SRRectangleROI', 'SRPlanarFreehandROI', 'SRSCOORD3DPoint'];

/** In the page: the names of the tools of the first viewport. */
function tools() {
  const [engine] = globalThis.cornerstone.getRenderingEngines();
  return Object.keys(globalThis.cornerstoneTools.ToolGroupManager.getToolGroupForViewport(engine.getViewports()[0].id, engine.id).toolOptions);
}

/** In the page: everything that a tool may have left behind. */
function left() {
  const { annotation, segmentation } = globalThis.cornerstoneTools;
  const own = ['ReferenceLines', 'ScaleOverlay', 'Crosshairs', 'OrientationMarker', 'ReferenceCursors'];
  return {
    annotations: annotation.state.getAllAnnotations().filter(each => !own.includes(each.metadata.toolName)).length,
    texts: [...document.querySelectorAll('.svg-layer text')].filter(each => getComputedStyle(each).visibility !== 'hidden').length,
    segmentations: segmentation.state.getSegmentations().length,
  };
}

/** Tries each tool on what is shown now; all must be refused. */
async function refusesAll(checks, viewer, what) {
  const names = (await viewer.page.evaluate(tools)).filter(name => !LOOKING.includes(name));
  const silent = [];
  const worked = [];
  for (const name of names) {
    try {
      await viewer.activate(name);
    } catch {
      continue;
    }
    await viewer.drag([0.42, 0.42], [0.58, 0.56]);
    if (!/the image is a preview/.test(await viewer.noted(/the image is a preview/))) silent.push(name);
    const { annotations, texts, segmentations } = await viewer.page.evaluate(left);
    if (annotations + texts + segmentations > 0) worked.push(`${name} (${annotations}, ${texts}, ${segmentations})`);
  }
  // A press may be delivered late.
  const after = await still(() => viewer.page.evaluate(left), 600);
  checks.that(`${what}: none of ${names.length} tools leaves anything`, names.length >= 10 && worked.length === 0 && after.annotations + after.segmentations === 0, worked.join(', ') || names.join(' '));
  checks.that(`${what}: each says at the cursor why it waits`, silent.length === 0, silent.join(', '));
  await viewer.page.emulateMedia({ media: 'print' });
  const printed = await viewer.page.locator('[data-firstlight] canvas').first().evaluate(each => getComputedStyle(each).visibility);
  await viewer.page.emulateMedia({ media: null });
  checks.that(`${what}: it is not printed`, printed === 'hidden');
}

/** In the page: the figures of the last annotation of a tool, and the same ones counted by hand from the stored samples of the full image. */
function figures(tool) {
  const { cache, metaData, getRenderingEngines } = globalThis.cornerstone;
  const annotation = globalThis.measurements().filter(each => each.metadata.toolName === tool).at(-1);
  const stats = Object.values(annotation?.data.cachedStats ?? {})[0];
  if (!stats) return { tool: annotation?.metadata.toolName };
  const [viewport] = getRenderingEngines()[0].getViewports();
  const [volumeId] = viewport.getAllVolumeIds?.() ?? [];
  const points = annotation.data.handles.points;
  const volume = volumeId && cache.getVolume(volumeId);
  const index = volume ? points.map(point => [...volume.imageData.worldToIndex(point)]) : points.map(point => [...viewport.getImageData().imageData.worldToIndex(point)]);
  const k = Math.round(index[0][2]);
  const imageId = volume ? volume.imageIds[k] : viewport.getCurrentImageId();
  const image = cache.getImage(imageId);
  const plane = metaData.get('imagePlaneModule', imageId);
  const spacing = volume ? volume.spacing : [plane.columnPixelSpacing ?? 1, plane.rowPixelSpacing ?? 1, 1];
  const apart = (a, b) => Math.hypot(...[0, 1, 2].map(n => (a[n] - b[n]) * spacing[n]));
  const values = image.voxelManager.getScalarData();
  const lut = metaData.get('modalityLutModule', imageId) ?? {};
  const value = (x, y) => (image.preScale?.scaled ? values[y * image.columns + x] : values[y * image.columns + x] * (lut.rescaleSlope ?? 1) + (lut.rescaleIntercept ?? 0));
  const [xs, ys] = [0, 1].map(n => index.map(each => each[n]).sort((a, b) => a - b));
  let [sum, squares, count] = [0, 0, 0];
  for (let y = Math.round(ys[0]); y <= Math.round(ys.at(-1)); y++) {
    for (let x = Math.round(xs[0]); x <= Math.round(xs.at(-1)); x++) {
      const each = value(x, y);
      sum += each;
      squares += each * each;
      count++;
    }
  }
  const mean = sum / count;
  return {
    tool: annotation.metadata.toolName,
    told: { length: stats.length, mean: stats.mean, sd: stats.stdDev, value: stats.value },
    counted: { length: index[1] && apart(index[0], index[1]), mean, sd: Math.sqrt(Math.max(0, squares / count - mean * mean)), value: value(...index[0].slice(0, 2).map(Math.round)) },
    pixels: count,
  };
}

/** On the complete image, the figures of a tool are those of the samples. */
async function measuresRightly(checks, viewer, what) {
  const near = (a, b, share, least) => Math.abs(a - b) <= Math.max(share * Math.abs(b), least);
  // Places of their own: a press on the handle of another would move that.
  for (const [name, holds, told, from, to] of [
    ['Length', ({ told, counted }) => near(told.length, counted.length, 0, 0.1), 'length', [0.3, 0.3], [0.4, 0.36]],
    ['Probe', ({ told, counted }) => near(told.value, counted.value, 0, 0), 'value', [0.66, 0.5], [0.66, 0.5]],
    // A border of one pixel may be counted or not.
    ['RectangleROI', ({ told, counted }) => near(told.mean, counted.mean, 0.01, 0.05 * counted.sd) && near(told.sd, counted.sd, 0.03, 0.5), 'mean', [0.44, 0.42], [0.58, 0.56]],
  ]) {
    await viewer.measure(name, from, to);
    // The figures follow their mark with the next picture.
    const look = () => viewer.page.evaluate(figures, name);
    const seen = await until('the right figures', look, seen => seen.told !== undefined && holds(seen)).catch(look);
    const words = seen.told && `${seen.told[told]?.toFixed?.(2)} and ${seen.counted[told]?.toFixed(2)}${name === 'RectangleROI' ? `, SD ${seen.told.sd?.toFixed(2)} and ${seen.counted.sd.toFixed(2)} of ${seen.pixels} pixels` : ''}`;
    checks.that(`${what}: ${name} is that of the full image`, seen.tool === name && seen.told !== undefined && holds(seen), words ?? JSON.stringify(seen));
  }
}

/** OHIF: a stack, coarse, finer and complete; then the planes of a volume, filling and complete; and the mode that has brushes. */
export async function stack({ checks, browser, proxy, url, series, picture }) {
  const ends = endsOf(series);
  proxy.holdAfter(behind(ends, 2));
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`);
  await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
  await until('a frame that waits', () => proxy.waits);
  const coarse = (await viewer.history()).at(-1);
  await refusesAll(checks, viewer, `stack, ${coarse.columns} columns`);
  proxy.holdAfter(behind(ends, 1));
  const better = await viewer.finerThan(coarse.columns);
  await picture(viewer, 'radiograph-useful');
  await refusesAll(checks, viewer, `stack, ${better} columns`);
  proxy.release();
  await viewer.until(`each => each.state === 'complete'`);
  await measuresRightly(checks, viewer, 'stack, complete');
  await viewer.close();
}

export async function planes({ checks, browser, proxy, url, series, picture }) {
  // A few slices, and no more.
  proxy.holdAfter(Infinity, 12);
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}&hangingprotocolId=mpr`);
  await viewer.until(`each => each.frames?.some(status => status === 6)`);
  const early = await still(async () => (await viewer.history()).filter(each => each.frames).at(-1), 500);
  await picture(viewer, 'ct-mpr-filling');
  const badge = early.badge ?? '';
  const neighbours = early.frames.some(status => status > 0 && status < 6);
  checks.that('planes, filling: what is a neighbour’s is called interpolated, what is not there not loaded', (!neighbours || /\d+ % interpolated/.test(badge)) && (early.frames.every(status => status > 0) || /not loaded/.test(badge)), badge);
  await refusesAll(checks, viewer, 'planes, filling');
  // Then a level of every slice, and none complete but those few.
  const ends = Object.values(series.levels).map(({ frames }) => frames[0].ends);
  proxy.holdAfter((Math.max(...ends.map(each => each.at(-2))) + Math.min(...ends.map(each => each.at(-1)))) >> 1);
  await viewer.until(`each => each.frames?.every(status => status >= 6)`);
  const covered = (await viewer.history()).filter(each => each.frames).at(-1);
  await refusesAll(checks, viewer, `planes, a level of every slice and ${covered.frames.filter(status => status === 8).length} complete`);
  proxy.release();
  await viewer.until(`each => each.frames && each.state === 'complete'`, 300_000);
  await measuresRightly(checks, viewer, 'planes, complete');
  await viewer.close();
}

export async function brushes({ checks, browser, proxy, url, series }) {
  proxy.holdAfter(behind(endsOf(series), 2));
  const viewer = await Viewer.open(browser, url, `/viewer/segmentation?StudyInstanceUIDs=${series.study}`);
  await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
  await refusesAll(checks, viewer, 'segmentation mode, preview');
  proxy.release();
  await viewer.close();
}

/** The light page: each kind of mark on each level, against the same mark on the full image and against the server's own samples. */
export async function lightTable({ checks, browser, proxy, url, series }) {
  const ends = endsOf(series);
  proxy.holdAfter(behind(ends, 3));
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page } = light;
  const seen = [];
  const kinds = { line: [90, 40], ellipse: [60, 40], point: [0, 0], arrow: [50, 20] };
  const measure = async () => {
    for (const [kind, by] of Object.entries(kinds)) {
      await light.drag(kind, by);
      if (kind === 'point' || kind === 'ellipse') seen.at(-1).hints.push(await light.words('hint'));
    }
    seen.at(-1).marks = Object.fromEntries((await light.marks()).map(({ kind, words }) => [kind, words]));
  };
  // The line stops between two levels: the one before them is what is shown.
  for (const level of [3, 2, 1]) {
    proxy.holdAfter(behind(ends, level));
    await light.arrived(level);
    seen.push({ level, hints: [] });
    await measure();
    await page.emulateMedia({ media: 'print' });
    seen.at(-1).printed = await page.locator('.viewport canvas.image').evaluate(each => getComputedStyle(each).visibility);
    await page.emulateMedia({ media: null });
    await page.click('#reset');
  }
  proxy.release();
  await light.arrived(0);
  await page.click('#reset');
  seen.push({ level: 0, hints: [] });
  await measure();
  const full = seen.at(-1).marks;
  for (const { level, marks, hints, printed } of seen.slice(0, -1)) {
    checks.that(`light page, level ${level}: a length is that of the full image`, marks.line === full.line, `${marks.line} and ${full.line}`);
    checks.that(`light page, level ${level}: statistics and values wait, and the pointer says why`, marks.ellipse === undefined && marks.point === undefined && hints.length === 2 && hints.every(hint => /preview/.test(hint)), hints[0]);
    checks.that(`light page, level ${level}: it is not printed`, printed === 'hidden');
  }
  checks.that('light page: there was more than one preview', seen.length === 4, seen.map(({ level }) => level).join(', '));
  const counted = await page.evaluate(countedByHand, { path: `${series.path}/instances/${Object.keys(series.levels)[0]}`, marks: await light.marks() });
  checks.that('light page, complete: mean and deviation are those of the samples that the server decodes', full.ellipse.startsWith(`mean ${counted.mean}`) && full.ellipse.includes(`SD ${counted.sd}`), `${full.ellipse}; ${counted.mean}, ${counted.sd} of ${counted.count} pixels`);
  checks.that('light page, complete: so is the value', full.point === counted.value, `${full.point}; ${counted.value}`);
  await light.close();
}

/** In the page: the same figures from the frame as the server decodes it, by the rule that a pixel counts whose middle is inside. */
async function countedByHand({ path, marks }) {
  const [set] = await (await fetch(`/dicom-web${path}/metadata`, { headers: { Accept: 'application/dicom+json' } })).json();
  const number = (tag, fallback) => Number(set[tag]?.Value?.[0] ?? fallback);
  const [columns, slope, intercept] = [number('00280011'), number('00281053', 1), number('00281052', 0)];
  const bytes = await (await fetch(`/dicom-web${path}/frames/1`, { headers: { Accept: 'application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1' } })).arrayBuffer();
  const samples = number('00280103', 0) === 1 ? new Int16Array(bytes) : new Uint16Array(bytes);
  const value = (x, y) => samples[y * columns + x] * slope + intercept;
  const [a, b] = marks.find(({ kind }) => kind === 'ellipse').points;
  const [cx, cy, rx, ry] = [(a.x + b.x) / 2, (a.y + b.y) / 2, Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2];
  const inside = [];
  for (let y = Math.floor(cy - ry) - 1; y <= cy + ry + 1; y++) for (let x = Math.floor(cx - rx) - 1; x <= cx + rx + 1; x++) if (((x + 0.5 - cx) / rx) ** 2 + ((y + 0.5 - cy) / ry) ** 2 <= 1) inside.push(value(x, y));
  const mean = inside.reduce((sum, each) => sum + each, 0) / inside.length;
  const sd = Math.sqrt(inside.reduce((sum, each) => sum + (each - mean) ** 2, 0) / inside.length);
  const figure = each => (Math.abs(each) >= 1000 ? each.toFixed(0) : each.toFixed(1));
  const [point] = marks.find(({ kind }) => kind === 'point').points;
  return { mean: figure(mean), sd: figure(sd), count: inside.length, value: String(value(Math.floor(point.x), Math.floor(point.y))) };
}
