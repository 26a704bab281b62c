/**
 * Retrieve configurations for Cornerstone3D's progressive loader, made from the recorded levels.
 *
 * A configuration may bring its own `create`, which Cornerstone3D calls for each stack and each volume to get the object
 * that loads its images. Ours waits for the levels of the series, which were asked for when it was opened, and then
 * hands on to Cornerstone3D's own loader with stages that suit the very frame.
 */
import { goodCuts, quickCut } from './cuts.ts';
import { parseImageId } from './frame-address.ts';
import type { LevelsStore } from './levels.ts';

/** Plain values only: Cornerstone3D posts them to its decoding workers, and a function cannot go there. */
export interface RetrieveOptions {
  rangeIndex?: number;
  chunkSize?: number;
}

export interface RetrieveStage {
  id: string;
  retrieveType?: string;
  [setting: string]: unknown;
}

/** How one image is loaded; `loader` takes the place of Cornerstone3D's own function. */
export interface ImageOptions {
  retrieveType?: string;
  retrieveOptions?: RetrieveOptions;
  loader?: LoadImage;
  [option: string]: unknown;
}

export type LoadImage = (imageId: string, options: ImageOptions) => Promise<unknown>;

/** Who gets the images: a stack viewport or a volume. */
export interface ImagesListener {
  successCallback(imageId: string, image: unknown): void;
  errorCallback(imageId: string, permanent: boolean, reason: unknown): void;
  getLoaderImageOptions(imageId: string): ImageOptions | undefined;
}

export interface ImagesLoader {
  loadImages(imageIds: string[], listener: ImagesListener): Promise<unknown>;
}

export interface RetrieveConfiguration {
  stages?: readonly RetrieveStage[];
  retrieveOptions?: Record<string, RetrieveOptions>;
  create?: (configuration: RetrieveConfiguration) => ImagesLoader;
}

/** What Cornerstone3D brings: its loader and its stages for a volume. */
export interface ProgressiveLoading {
  create(configuration: RetrieveConfiguration): ImagesLoader;
  load: LoadImage;
  interleavedStages: readonly RetrieveStage[];
  /** Whether a reduced image of this image means anything: not so for colours by palette. */
  canReduce(imageId: string): boolean;
}

/** How long the first image of a series may wait for the levels, in ms. Later ones find them there. */
const PATIENCE = 1500;

/** A frame below this size comes so soon that a look at less of it only flickers. */
const SMALL_STACK_FRAME = 256 * 1024;

/** The share of a slice that the first pass over a volume may take. */
const QUICK_SHARE = 0.2;

/** The last stage, which is left out when the image is complete by then: what failed in ranges comes whole. */
const ON_ERROR: RetrieveStage = { id: 'errorRetrieve', retrieveType: 'single' };

/** One request for the whole image. `single` comes first: prefetch takes `default`, else the first entry. */
const WHOLE: RetrieveConfiguration = {
  stages: [{ id: 'initialImages', retrieveType: 'single' }],
  retrieveOptions: { single: {}, default: {} },
};

/** The configuration for stacks: for each image its own stages, one for each level that the client can decode whole. */
export function stackConfiguration(levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  const loadOne = async (imageId: string, listener: ImagesListener) => {
    await levels.wait(imageId, PATIENCE);
    return loading.create(stackStages(imageId, levels, loading)).loadImages([imageId], listener);
  };
  return {
    ...WHOLE,
    create: () => ({
      loadImages: (imageIds, listener) => Promise.all(imageIds.map(imageId => loadOne(imageId, listener))),
    }),
  };
}

/**
 * The stages of one image of a stack.
 *
 * The client computes a range's end as `chunkSize * (rangeIndex + 1)` and keeps the first `chunkSize` of an image for all
 * its stages, so a step of one byte and the cut in `rangeIndex` address any byte exactly.
 */
export function stackStages(imageId: string, levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  const frame = levels.frame(imageId);
  if (!frame || frame.length < SMALL_STACK_FRAME || !loading.canReduce(imageId)) return WHOLE;
  const cuts = goodCuts(frame);
  if (cuts.length === 0) return WHOLE;
  const retrieveOptions: Record<string, RetrieveOptions> = { single: {}, default: {} };
  const stages: RetrieveStage[] = [];
  for (const cut of cuts) {
    const id = `level${cut.level}`;
    retrieveOptions[id] = { chunkSize: 1, rangeIndex: cut.bytes - 1 };
    stages.push({ id, retrieveType: id });
  }
  retrieveOptions.level0 = { chunkSize: 1, rangeIndex: -1 };
  stages.push({ id: 'level0', retrieveType: 'level0' }, ON_ERROR);
  return { stages, retrieveOptions };
}

/**
 * The configuration for volumes: interleaved, with a first pass of quick cuts.
 *
 * The stages' options are shared by all frames of a volume, so they say only which pass it is; the range of each frame is
 * put in when it is loaded.
 */
export function volumeConfiguration(levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  const stages = loading.interleavedStages;
  const load: LoadImage = (imageId, options) => {
    delete options.loader;
    options.retrieveOptions = volumeFrameOptions(imageId, options.retrieveType, levels, loading);
    return loading.load(imageId, options);
  };
  return {
    stages,
    create: () => ({
      loadImages: async (imageIds, listener) => {
        await Promise.all(firstOfEachSeries(imageIds).map(imageId => levels.wait(imageId, PATIENCE)));
        return loading.create({ stages }).loadImages(imageIds, {
          successCallback: (imageId, image) => listener.successCallback(imageId, image),
          errorCallback: (imageId, permanent, reason) => listener.errorCallback(imageId, permanent, reason),
          getLoaderImageOptions: imageId => {
            const options = listener.getLoaderImageOptions(imageId);
            return options && { ...options, loader: load };
          },
        });
      },
    }),
  };
}

/** How a frame of a volume is asked for in a pass: a quick cut, the rest after one, or the whole. */
export function volumeFrameOptions(
  imageId: string,
  pass: string | undefined,
  levels: LevelsStore,
  loading: Pick<ProgressiveLoading, 'canReduce'>
): RetrieveOptions {
  const frame = levels.frame(imageId);
  const cut = frame && loading.canReduce(imageId) ? quickCut(frame, QUICK_SHARE) : null;
  if (!cut) return {};
  if (pass === 'multipleFast') return { chunkSize: 1, rangeIndex: cut.bytes - 1 };
  return pass === 'multipleFinal' ? { chunkSize: 1, rangeIndex: -1 } : {};
}

function firstOfEachSeries(imageIds: readonly string[]): string[] {
  const first = new Map<string, string>();
  for (const imageId of imageIds) {
    const address = parseImageId(imageId);
    if (address && !first.has(address.series)) first.set(address.series, imageId);
  }
  return [...first.values()];
}
