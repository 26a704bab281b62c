/**
 * What runs in the page: notes each change of what a viewport shows, keeps its picture, and afterwards compares the pictures with the last one.
 * It reads what Cornerstone3D itself tells of images and volumes, so that stock and ours are judged alike. What lies over the viewport's place before
 * that shows anything tells the time at which it was drawn itself: a worker draws it. When each of them is seen, screencast.mjs knows.
 */
export function record(likeness) {
  localStorage.setItem('shownTours', '["basicViewerTour"]');
  const FULL = 8;
  const epoch = () => performance.timeOrigin + performance.now();
  const seen = (globalThis.seen = { shows: [], every: 0 });
  const last = new Map();

  /** Read back only when all is over: to read waits for the graphics process, and the page would wait with it. */
  const picture = ({ canvas }) => createImageBitmap(canvas);

  const read = async promise => {
    const bitmap = await promise;
    const { width, height } = bitmap;
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(bitmap, 0, 0);
    return grey(copy.getImageData(0, 0, width, height));
  };

  function grey({ width, height, data }) {
    const values = new Uint8Array(width * height);
    for (let n = 0; n < values.length; n++) values[n] = (data[4 * n] * 77 + data[4 * n + 1] * 150 + data[4 * n + 2] * 29) >> 8;
    return { width, height, grey: values };
  }

  const describe = viewport => {
    const base = { at: epoch(), viewport: viewport.id };
    const [volumeId] = viewport.getAllVolumeIds?.() ?? [];
    const volume = volumeId && globalThis.cornerstone.cache.getVolume(volumeId);
    if (volume?.cachedFrames) {
      const frames = volume.imageIds.map((_, n) => volume.cachedFrames[n] ?? 0);
      seen.paths = volume.imageIds.map(imageId => imageId.replace(/^wadors:(https?:\/\/[^/]+)?/, ''));
      return { ...base, states: frames, slices: frames.length, any: frames.filter(each => each > 0).length, full: frames.filter(each => each >= FULL).length };
    }
    const image = viewport.getCornerstoneImage?.();
    return image ? { ...base, index: viewport.getCurrentImageIdIndex(), imageId: image.imageId, columns: image.columns, rows: image.rows, quality: image.imageQualityStatus ?? FULL } : null;
  };

  addEventListener(
    'CORNERSTONE_IMAGE_RENDERED',
    event => {
      const { renderingEngineId, viewportId } = event.detail;
      const viewport = globalThis.cornerstone?.getRenderingEngine(renderingEngineId)?.getViewport(viewportId);
      // Smaller ones are thumbnails.
      const show = viewport?.canvas.width > 300 && describe(viewport);
      if (!show) return;
      globalThis.firstPicture ??= show.at;
      const before = last.get(viewportId);
      const same = before && (show.columns ? before.imageId === show.imageId && before.columns === show.columns && before.quality === show.quality : before.full === show.full && before.any === show.any);
      if (same || (show.slices && before && show.full < show.slices && show.at - before.at < seen.every)) return;
      last.set(viewportId, show);
      seen.shows.push({ ...show, picture: picture(viewport) });
    },
    true
  );

  /** What is drawn over the viewport's place before the viewport is there: `{ at, columns, rows }`. */
  const over = [];
  new MutationObserver(() => {
    const { at, columns, rows } = document.getElementById('firstlight-first-picture')?.dataset ?? {};
    if (at && Number(at) !== over.at(-1)?.at) over.push({ at: Number(at), columns: Number(columns), rows: Number(rows) });
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-at'] });

  /** The pictures of now: a viewport draws once more after its last slice. */
  globalThis.snap = () => {
    for (const engine of globalThis.cornerstone.getRenderingEngines()) {
      for (const viewport of engine.getViewports()) {
        const show = viewport.canvas.width > 300 && describe(viewport);
        if (!show) continue;
        seen.shows.push({ ...show, picture: picture(viewport), final: true });
        if (show.imageId) seen.shows.unshift(...over.splice(0).map(each => ({ ...each, viewport: viewport.id, imageId: show.imageId, index: show.index, quality: 6, over: true })));
      }
    }
  };

  globalThis.forget = every => {
    Object.assign(seen, { shows: [], every, paths: [] });
    last.clear();
    over.length = 0;
  };

  /** All shows without their pictures: how like the last picture of the same image each is, and its share of the device pixels. */
  globalThis.report = async () => {
    for (const show of seen.shows) if (show.picture) show.picture = await read(show.picture);
    const key = show => show.viewport + (show.imageId ?? '');
    const ends = new Map(seen.shows.map(show => [key(show), show.picture]));
    return seen.shows.map(({ picture: own, ...show }) => {
      const end = ends.get(key(show));
      const drawn = show.columns && Math.min(end.width / show.columns, end.height / show.rows) ** 2 * show.columns * show.rows;
      const alike = own && own.width === end.width && own.height === end.height ? likeness(own, end) : 0;
      return { ...show, lit: (show.any ?? 1) > 0 && (!own || own.grey.some(value => value > 24)), ssim: alike, share: drawn && (show.columns * show.rows) / drawn, drawn };
    });
  };

  /** The place of the first viewport on the page. */
  globalThis.place = () => {
    const viewport = globalThis.cornerstone.getRenderingEngines().flatMap(each => each.getViewports()).find(each => each.canvas.width > 300);
    const { left, top, width, height } = viewport.canvas.getBoundingClientRect();
    return { left: Math.round(left), top: Math.round(top), width: Math.round(width), height: Math.round(height) };
  };
}
