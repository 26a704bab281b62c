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

export interface RetrieveOptions {
  rangeIndex?: number;
  chunkSize?: number | ((metadata: unknown, imageId: string) => number);
}

export interface RetrieveStage {
  id: string;
  retrieveType?: string;
  [setting: string]: unknown;
}

export interface ImagesLoader {
  loadImages(imageIds: string[], listener: unknown): Promise<unknown>;
}

export interface RetrieveConfiguration {
  stages?: readonly RetrieveStage[];
  retrieveOptions?: Record<string, RetrieveOptions>;
  create?: (configuration: RetrieveConfiguration) => ImagesLoader;
}

/** What Cornerstone3D brings: its loader and its stages for a volume. */
export interface ProgressiveLoading {
  create(configuration: RetrieveConfiguration): ImagesLoader;
  interleavedStages: readonly RetrieveStage[];
  /** Whether a reduced image of this image means anything: not so for colours by palette. */
  canReduce(imageId: string): boolean;
}

/** How long the first image of a series may wait for the levels, in ms. Later ones find them there. */
const PATIENCE = 1500;

/** Frames below this size come in one piece in less time than two requests take. */
const SMALL_STACK_FRAME = 96 * 1024;

/** The share of a slice that the first pass over a volume may take. */
const QUICK_SHARE = 0.2;

/** One request for the whole image. `single` comes first: prefetch takes `default`, else the first entry. */
const WHOLE: RetrieveConfiguration = {
  stages: [{ id: 'initialImages', retrieveType: 'single' }],
  retrieveOptions: { single: {}, default: {} },
};

/** The configuration for stacks: for each image its own stages, one for each level that the client can decode whole. */
export function stackConfiguration(levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  const loadOne = async (imageId: string, listener: unknown) => {
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
  stages.push({ id: 'level0', retrieveType: 'level0' });
  return { stages, retrieveOptions };
}

/** The configuration for volumes: interleaved, with a first pass of quick cuts where every frame of the volume has one. */
export function volumeConfiguration(levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  return {
    stages: loading.interleavedStages,
    create: () => ({
      loadImages: async (imageIds, listener) => {
        await Promise.all(firstOfEachSeries(imageIds).map(imageId => levels.wait(imageId, PATIENCE)));
        return loading.create(volumeStages(imageIds, levels, loading)).loadImages(imageIds, listener);
      },
    }),
  };
}

/** The stages of a volume, whose options are shared by all its frames: the cut is asked for frame by frame. */
export function volumeStages(imageIds: readonly string[], levels: LevelsStore, loading: ProgressiveLoading): RetrieveConfiguration {
  const cutOf = (imageId: string) => {
    const frame = levels.frame(imageId);
    return frame && quickCut(frame, QUICK_SHARE);
  };
  const stages = loading.interleavedStages;
  if (!imageIds.every(imageId => cutOf(imageId) !== null && loading.canReduce(imageId))) return { stages };
  return {
    stages,
    retrieveOptions: {
      default: {},
      multipleFast: { rangeIndex: 0, chunkSize: (_metadata, imageId) => cutOf(imageId)!.bytes },
      multipleFinal: { rangeIndex: -1, chunkSize: (_metadata, imageId) => cutOf(imageId)!.bytes },
    },
  };
}

function firstOfEachSeries(imageIds: readonly string[]): string[] {
  const first = new Map<string, string>();
  for (const imageId of imageIds) {
    const address = parseImageId(imageId);
    if (address && !first.has(address.series)) first.set(address.series, imageId);
  }
  return [...first.values()];
}
