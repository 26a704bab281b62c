/**
 * Loading by whole resolution levels for Cornerstone3D, whose API is handed in as an object:
 *
 *     import * as cornerstone from '@cornerstonejs/core';
 *     import { wadors } from '@cornerstonejs/dicom-image-loader';
 *     const worker = new Worker(new URL('@firstlight/loader/worker', import.meta.url), { type: 'module' });
 *     const frames = new Frames({ loader: workerPort(worker) });
 *     install(cornerstone, frames, { stock: wadors.loadImage });
 *
 * Stacks and volumes of HTJ2K are loaded by levels, those of other transfer syntaxes whole but in the same order; everything else goes on as before.
 */
import type { Cornerstone, ImageLoaderFunction, RetrieveConfiguration } from './api.ts';
import { Frames } from './frames.ts';
import { imageLoader } from './image-loader.ts';
import { canLoad, comesWhole, sizeOf } from './image.ts';
import { LevelsStore } from './series-levels.ts';
import { StackClient } from './stack.ts';
import { stockDecoder } from './stock-decoder.ts';
import { Tally } from './tally.ts';
import { VolumeClient } from './volume.ts';

export * from './address.ts';
export * from './api.ts';
export * from './completeness.ts';
export { Frames, type FramesClient, type FrameWish, type FramesOptions, type Wishes } from './frames.ts';
export { canLoad, forgetImages, shapeOf, sizeOf } from './image.ts';
export type { LoaderPort } from '../loading/messages.ts';
export type { Picture, Shape } from '../loading/picture.ts';
export { localPort, workerPort } from '../loading/port.ts';
export * from './intensities.ts';
export { LevelsStore } from './series-levels.ts';
export type { TallyReading } from './tally.ts';

export interface InstallOptions {
  /** The loader for `wadors:` that is registered already; with it, ours is registered in its place and hands on what it does not load. */
  stock?: ImageLoaderFunction;
  /** Used for the documents of levels; may add headers. */
  fetch?: typeof fetch;
  /** Told when a stack turns to an image: whether it is loaded here, so that another prefetch may step back. */
  onStack?: (ours: boolean) => void;
}

export interface Loading {
  readonly levels: LevelsStore;
  readonly tally: Tally;
  /** Tells Cornerstone3D again; for programs that clear its retrieve configurations. */
  configure(): void;
  uninstall(): void;
}

/** One request for the whole image, as without this loader. `single` comes first: prefetch takes `default`, else the first entry. */
const WHOLE: RetrieveConfiguration = { stages: [{ id: 'initialImages', retrieveType: 'single' }], retrieveOptions: { single: {}, default: {} } };

/** Events on viewports' elements, caught before anybody else sees them. */
const SCROLL = 'CORNERSTONE_STACK_VIEWPORT_SCROLL';
const CAMERA = 'CORNERSTONE_CAMERA_MODIFIED';

/** Crosshairs that are dragged move with each event of the mouse. */
const LOOK_MS = 100;

export function install(cornerstone: Cornerstone, frames: Frames, options: InstallOptions = {}): Loading {
  const fetching = options.fetch ?? fetch.bind(globalThis);
  const levels = new LevelsStore(url => fetching(url, { headers: { Accept: 'application/json' } }));
  frames.source = imageId => {
    const { ends = [], length } = levels.frame(imageId) ?? {};
    const { width, height } = sizeOf(cornerstone, imageId);
    if (comesWhole(cornerstone, imageId)) return { width, height, ends: [length || width * height] };
    return ends.length > 0 && width > 0 ? { width, height, ends } : undefined;
  };
  frames.decodeWhole(imageId => comesWhole(cornerstone, imageId), stockDecoder(cornerstone, options.stock), fetching);
  const tally = new Tally();
  const stacks = new Set<StackClient>();
  const volumes = new Set<VolumeClient>();
  const { createProgressive, interleavedRetrieveStages } = cornerstone.ProgressiveRetrieveImages;

  const stack: RetrieveConfiguration = {
    ...WHOLE,
    create: () => {
      const client: StackClient = new StackClient(cornerstone, frames, createProgressive(WHOLE), tally, () => {
        for (const other of stacks) if (other !== client && other.viewport === client.viewport) drop(stacks, other);
        stacks.add(client);
      });
      return {
        loadImages: (imageIds, listener) => {
          options.onStack?.(imageIds[0] !== undefined && canLoad(cornerstone, imageIds[0]));
          return client.loadImages(imageIds, listener);
        },
      };
    },
  };
  const volume: RetrieveConfiguration = {
    stages: interleavedRetrieveStages.stages,
    create: () => new VolumeClient(cornerstone, frames, createProgressive({ stages: interleavedRetrieveStages.stages }), imageIds => levels.openFor(imageIds), client => volumes.add(client)),
  };
  const { imageRetrieveMetadataProvider } = cornerstone.utilities;
  const configure = () => {
    imageRetrieveMetadataProvider.add('stack', stack);
    imageRetrieveMetadataProvider.add('volume', volume);
  };
  configure();
  if (options.stock) cornerstone.imageLoader.registerImageLoader('wadors', imageLoader(cornerstone, frames, options.stock));

  let looking: ReturnType<typeof setTimeout> | undefined;
  const page: EventTarget = 'addEventListener' in globalThis ? globalThis : new EventTarget();
  const undo = [
    listen(cornerstone.eventTarget, 'CORNERSTONE_IMAGE_CACHE_IMAGE_REMOVED', ({ imageId }) => frames.removed(String(imageId))),
    listen(cornerstone.eventTarget, 'CORNERSTONE_VOLUME_CACHE_VOLUME_REMOVED', ({ volumeId }) => {
      for (const client of volumes) if (client.volumeId === volumeId) drop(volumes, client);
    }),
    listen(cornerstone.eventTarget, 'CORNERSTONE_ELEMENT_DISABLED', ({ element }) => {
      for (const client of stacks) if (client.element === element) drop(stacks, client);
    }),
    listen(page, SCROLL, (_, event) => turnAtOnce(cornerstone, event)),
    listen(page, CAMERA, () => {
      looking ??= setTimeout(() => {
        looking = undefined;
        for (const client of volumes) client.look();
      }, LOOK_MS);
    }),
    listen(page, 'online', () => frames.retry()),
  ];
  return {
    levels,
    tally,
    configure,
    uninstall() {
      for (const each of undo) each();
      for (const client of stacks) drop(stacks, client);
      for (const client of volumes) drop(volumes, client);
      imageRetrieveMetadataProvider.add('stack', WHOLE);
      imageRetrieveMetadataProvider.add('volume', { stages: interleavedRetrieveStages.stages });
      if (options.stock) cornerstone.imageLoader.registerImageLoader('wadors', options.stock);
    },
  };
}

/** Cornerstone3D waits 40 ms after each step before it turns to a slice that is not in its cache, so that a steady scroll turns to none. */
function turnAtOnce(cornerstone: Cornerstone, event: Event): void {
  const { imageId, newImageIdIndex } = ((event as CustomEvent).detail ?? {}) as { imageId?: string; newImageIdIndex?: number };
  if (imageId === undefined || newImageIdIndex === undefined || !canLoad(cornerstone, imageId)) return;
  for (const engine of cornerstone.getRenderingEngines() ?? []) {
    for (const viewport of engine.getViewports()) if (viewport.element === event.target) void viewport.setImageIdIndex?.(newImageIdIndex);
  }
}

function drop<Client extends { close(): void }>(clients: Set<Client>, client: Client): void {
  clients.delete(client);
  client.close();
}

function listen(target: EventTarget, name: string, hear: (detail: Record<string, unknown>, event: Event) => void): () => void {
  const listener = (event: Event) => hear(((event as CustomEvent).detail ?? {}) as Record<string, unknown>, event);
  // Events of Cornerstone3D's own target have no phases; those of elements are caught on their way down.
  target.addEventListener(name, listener, true);
  return () => target.removeEventListener(name, listener, true);
}
