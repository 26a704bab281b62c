/** A CT series in MPR on a slow line: a useful level of every slice comes first, then full ones outwards; its values are right. */
import { Viewer } from './viewer.mjs';
import { still, until } from './waiting.mjs';

const ADJACENT = 3;
const FAR = 1;
const REDUCED = 6;
const FULL = 8;

export async function fills({ checks, browser, proxy, url, series, image, picture }) {
  // A few slices, and no more until the volume that fills was looked at.
  proxy.holdAfter(Infinity, 12);
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}&hangingprotocolId=mpr`);
  await viewer.until(`each => each.frames?.some(status => status > 0)`);
  await viewer.activate('Probe');
  await viewer.drag([0.5, 0.5], [0.5, 0.5]);
  const why = await viewer.noted(/preview/);
  const left = await still(() => viewer.annotations(), 600);
  const early = (await viewer.history()).filter(each => each.frames).at(-1);
  checks.that('a probe of the filling volume is refused', early.state === 'preview' && left.length === 0 && /preview/.test(why), why);
  const look = () => viewer.page.evaluate(fitting);
  const badges = await until('three badges', look, seen => seen.length === 3).catch(look);
  checks.that('the badge of each pane can be read', badges.length === 3 && badges.every(Boolean), badges.join(' '));
  proxy.release();
  await viewer.until(`each => each.frames && each.state === 'complete'`, 300_000);
  // In each of its panes.
  await viewer.page.waitForFunction(() => [...new Map(globalThis.shown.map(each => [each.viewport, each.state])).values()].every(state => state === 'complete'));

  const shown = (await viewer.history()).filter(each => each.frames);
  const last = shown.at(-1);
  checks.that('all slices came', last.frames.length === image.slices && last.frames.every(status => status === FULL), `${last.frames.length} slices`);
  const seen = new Set(shown.flatMap(each => each.frames));
  checks.that('gaps were filled from neighbours', seen.has(ADJACENT) && seen.has(FAR));
  checks.that('a first pass brought reduced slices', seen.has(REDUCED));
  const tenth = shown.find(each => each.frames.filter(status => status === FULL).length >= each.frames.length / 10);
  checks.that('every slice had a level of its own before a tenth was complete', tenth?.frames.every(status => status >= REDUCED));
  const third = shown.find(each => each.frames.filter(status => status === FULL).length >= each.frames.length / 3);
  checks.that('then slices were completed outwards from what is looked at', outwards(third?.frames ?? []), complete(third?.frames ?? []).join(' '));
  const covered = shown.find(each => each.frames.every(status => status > 0));
  const completeThen = covered?.frames.filter(status => status === FULL).length ?? NaN;
  checks.that('the whole volume was there before a fifth was complete', completeThen < image.slices / 5, `${completeThen} complete`);
  checks.that('the filling volume wears the badge', shown.filter(each => each.state === 'preview').every(each => /not for measurement/.test(each.badge ?? '')));
  checks.that('the full one does not', last.badge === null);

  const slices = await viewer.page.evaluate(samplesOfVolume);
  const right = slices.filter(slice => image.hashes.has(slice.hash)).length;
  checks.that('every slice has the pixels of the reference decoders', right === image.slices, `${right} of ${image.slices}`);

  await viewer.measure('Probe', [0.55, 0.5], [0.55, 0.5]);
  const probe = await viewer.page.evaluate(probed);
  checks.that('the value under the cursor is that of the slice', probe !== null && probe.value === probe.expected, probe && `${probe.value} ${probe.unit} at ${probe.index}`);
  checks.that('no prefix failed to decode', viewer.troubles.length === 0, viewer.troubles[0]);
  await picture(viewer, 'ct-mpr');
  await viewer.close();
}

/** In the page: whether each badge lies within its pane. */
function fitting() {
  return [...document.querySelectorAll('.firstlight-preview-badge')].map(badge => {
    const [own, pane] = [badge.getBoundingClientRect(), badge.parentElement.getBoundingClientRect()];
    return own.left >= pane.left && own.right <= pane.right && badge.scrollWidth <= badge.clientWidth;
  });
}

/** Those around the middle are complete, where OHIF puts the crosshairs, and no others but the few of which a plane across lacked most. */
function outwards(frames) {
  const middle = frames.length >> 1;
  const near = frames.length / 12;
  let [from, to] = [middle, middle];
  while (frames[from - 1] === FULL) from--;
  while (frames[to + 1] === FULL) to++;
  const others = complete(frames).filter(n => n < from || n > to).length;
  return middle - from >= near && to - middle >= near && others <= frames.length / 6;
}

function complete(frames) {
  return frames.flatMap((status, i) => (status === FULL ? [i] : []));
}

/** In the page: SHA-256 of the stored samples of each slice, out of the volume that is shown. */
export async function samplesOfVolume() {
  const { cache, metaData, getRenderingEngines } = globalThis.cornerstone;
  const [viewport] = getRenderingEngines()[0].getViewports();
  const volume = cache.getVolume(viewport.getAllVolumeIds()[0]);
  const values = volume.voxelManager.getCompleteScalarDataArray();
  const size = volume.dimensions[0] * volume.dimensions[1];
  return Promise.all(
    volume.imageIds.map(async (imageId, i) => {
      const { rescaleSlope = 1, rescaleIntercept = 0 } = metaData.get('modalityLutModule', imageId) ?? {};
      const slice = Int16Array.from(values.subarray(i * size, (i + 1) * size), value => (value - rescaleIntercept) / rescaleSlope);
      const digest = await crypto.subtle.digest('SHA-256', slice);
      return { imageId, hash: Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('') };
    })
  );
}

/** In the page: what the probe reads, and the sample of the slice there, whose hash was checked. */
function probed() {
  const { cache, metaData, getRenderingEngines } = globalThis.cornerstone;
  const [annotation] = globalThis.measurements();
  const stats = Object.values(annotation?.data.cachedStats ?? {})[0];
  if (!stats) return null;
  const [viewport] = getRenderingEngines()[0].getViewports();
  const volume = cache.getVolume(viewport.getAllVolumeIds()[0]);
  const [point] = annotation.data.handles.points;
  const [i, j, k] = volume.imageData.worldToIndex(point).map(Math.round);
  const image = cache.getImage(volume.imageIds[k]);
  const { rescaleSlope = 1, rescaleIntercept = 0 } = metaData.get('modalityLutModule', image.imageId) ?? {};
  const stored = image.voxelManager.getScalarData()[j * volume.dimensions[0] + i];
  const expected = image.preScale?.scaled ? stored : stored * rescaleSlope + rescaleIntercept;
  return { value: stats.value, unit: stats.modalityUnit, expected, index: [i, j, k].join(', ') };
}
