/** Cornerstone3D without any viewer, with this loader: what a developer of another viewer would write, and a record of what is shown. */
import * as cornerstone from '@cornerstonejs/core';
import { Frames, install, workerPort, type Cornerstone } from '@firstlight/loader/cornerstone';
import LoadingWorker from '../../packages/loader/src/loading/worker.ts?worker';
import { instances } from './metadata.ts';

const { Enums, RenderingEngine, cache, eventTarget, init, metaData, volumeLoader } = cornerstone;

const frames = new Frames({ loader: workerPort(new LoadingWorker()), wasm: new URL('htj2k.wasm', location.href).href });
const ready = Promise.resolve(init());
const loading = ready.then(() => install(cornerstone as unknown as Cornerstone, frames));

/** Each change of what is shown. */
const shown: object[] = [];
Object.assign(globalThis, { cornerstone, shown, stack, volume, scroll, loading, frames });

function pane(): HTMLDivElement {
  const element = document.createElement('div');
  element.className = 'pane';
  document.body.append(element);
  element.addEventListener(Enums.Events.IMAGE_RENDERED, () => {
    const viewport = engine.getViewports().find(each => each.element === element) as unknown as Record<string, () => unknown>;
    const image = viewport.getCornerstoneImage?.() as { imageId: string; columns: number; imageQualityStatus: number } | undefined;
    if (image) shown.push({ at: performance.now(), imageId: image.imageId, columns: image.columns, quality: image.imageQualityStatus });
  });
  return element;
}

let engine: InstanceType<typeof RenderingEngine>;

async function opened(root: string, path: string): Promise<string[]> {
  await loading;
  engine ??= new RenderingEngine('engine');
  const { imageIds, provider } = await instances(root, path);
  metaData.addProvider(provider, 10_000);
  return imageIds;
}

async function stack(root: string, path: string, at = 0): Promise<number> {
  const imageIds = await opened(root, path);
  engine.enableElement({ viewportId: 'stack', type: Enums.ViewportType.STACK, element: pane() });
  const viewport = engine.getViewport('stack') as unknown as { setStack(ids: string[], at: number): Promise<unknown> };
  await viewport.setStack(imageIds, at);
  return imageIds.length;
}

/** Steps through the stack as a wheel does, not before a picture of the slice is there; tells how many steps had one `within` so many ms. */
async function scroll(steps: number, every: number, within: number): Promise<number> {
  const viewport = engine.getViewport('stack') as unknown as { scroll(delta: number): void; getCurrentImageId(): string; getCornerstoneImage(): { imageId: string } };
  const isThere = () => viewport.getCornerstoneImage().imageId === viewport.getCurrentImageId();
  let right = 0;
  for (let n = 0; n < steps; n++) {
    viewport.scroll(1);
    const until = performance.now() + within;
    do await new Promise(later => setTimeout(later, every));
    while (!isThere() && performance.now() < until);
    if (isThere()) right++;
  }
  return right;
}

async function volume(root: string, path: string): Promise<void> {
  const imageIds = await opened(root, path);
  const { AXIAL, SAGITTAL } = Enums.OrientationAxis;
  const panes = [AXIAL, SAGITTAL].map(orientation => ({ viewportId: orientation, type: Enums.ViewportType.ORTHOGRAPHIC, element: pane(), defaultOptions: { orientation } }));
  engine.setViewports(panes);
  const made = (await volumeLoader.createAndCacheVolume('volume', { imageIds })) as unknown as { load(): void; cachedFrames: number[]; imageIds: string[] };
  eventTarget.addEventListener(Enums.Events.IMAGE_VOLUME_MODIFIED, () => {
    shown.push({ at: performance.now(), frames: made.imageIds.map((_, n) => made.cachedFrames[n] ?? 0) });
  });
  made.load();
  await cornerstone.setVolumesForViewports(engine, [{ volumeId: 'volume' }], panes.map(({ viewportId }) => viewportId));
  engine.renderViewports(panes.map(({ viewportId }) => viewportId));
  void cache;
}
