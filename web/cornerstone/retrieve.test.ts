import { describe, expect, it } from 'vitest';
import { LevelsStore } from './levels.ts';
import {
  stackConfiguration,
  stackStages,
  volumeConfiguration,
  volumeFrameOptions,
  type ImageOptions,
  type ImagesListener,
  type ProgressiveLoading,
  type RetrieveConfiguration,
} from './retrieve.ts';

const image = (uid: string) => `wadors:http://host/studies/1/series/2/instances/${uid}/frames/1`;
const LARGE = { length: 4_252_503, ends: [9_355, 22_963, 75_269, 279_814, 1_089_066, 4_252_503] };
const NOISY = { length: 548_504, ends: [2_304, 6_528, 20_404, 64_888, 201_576, 548_504] };
const SMALL = { length: 211_015, ends: [591, 1_667, 5_318, 16_000, 50_000, 211_015] };

const instance = (frame: unknown) => ({ transferSyntax: '1.2.840.10008.1.2.4.202', bodyOffset: 123, frames: [frame] });
const DOCUMENT = { instances: { large: instance(LARGE), noisy: instance(NOISY), small: instance(SMALL) } };

const store = () => new LevelsStore(() => Promise.resolve({ ok: true, json: () => Promise.resolve(DOCUMENT) }));

/** Stands for Cornerstone3D: keeps what it was given. */
function client() {
  const created: RetrieveConfiguration[] = [];
  const loaded: [string, ImageOptions][] = [];
  const listeners: ImagesListener[] = [];
  const loading: ProgressiveLoading = {
    create: configuration => {
      created.push(configuration);
      return { loadImages: (_ids, listener) => (listeners.push(listener), Promise.resolve()) };
    },
    load: (imageId, options) => (loaded.push([imageId, options]), Promise.resolve()),
    interleavedStages: [{ id: 'initialImages' }, { id: 'quarterThumb', retrieveType: 'multipleFast' }],
    canReduce: imageId => !imageId.includes('palette'),
  };
  return { loading, created, loaded, listeners };
}

const listener = (options: ImageOptions | undefined): ImagesListener => ({
  successCallback: () => {},
  errorCallback: () => {},
  getLoaderImageOptions: () => options,
});

/** The range that Cornerstone3D 5.6 asks for after `have` bytes (`getByteRange`). */
const rangeEnd = ({ chunkSize = 65536, rangeIndex = 0 }: { chunkSize?: number; rangeIndex?: number }) =>
  rangeIndex === -1 ? '' : chunkSize * (rangeIndex + 1) - 1;

describe('a stack', () => {
  it('loads by ranges that end where levels end', async () => {
    const { loading } = client();
    const levels = store();
    await levels.wait(image('large'), 1000);
    const { stages, retrieveOptions } = stackStages(image('large'), levels, loading);
    expect(stages!.map(stage => stage.id)).toEqual(['level3', 'level2', 'level1', 'level0', 'errorRetrieve']);
    expect(retrieveOptions![stages!.at(-1)!.retrieveType!]).toEqual({});
    const ends = stages!.slice(0, -1).map(stage => rangeEnd(retrieveOptions![stage.retrieveType!]!));
    expect(ends).toEqual([123 + 75_269 - 1, 123 + 279_814 - 1, 123 + 1_089_066 - 1, '']);
  });

  it('lets prefetch take the whole image', async () => {
    const { loading } = client();
    const levels = store();
    await levels.wait(image('large'), 1000);
    for (const uid of ['large', 'noisy', 'unknown']) {
      const { retrieveOptions } = stackStages(image(uid), levels, loading);
      expect(retrieveOptions!.default).toEqual({});
      expect(Object.keys(retrieveOptions!)[0]).toBe('single');
    }
  });

  it('loads whole what has no good cut, is small, has no levels, or colours by palette', async () => {
    const { loading } = client();
    const levels = store();
    await levels.wait(image('large'), 1000);
    for (const uid of ['noisy', 'small', 'unknown']) {
      expect(stackStages(image(uid), levels, loading).stages!.map(stage => stage.retrieveType)).toEqual(['single']);
    }
    const palette = { ...loading, canReduce: () => false };
    expect(stackStages(image('large'), levels, palette).stages).toHaveLength(1);
  });

  it('waits for the levels when its first image is asked for', async () => {
    const { loading, created } = client();
    const stack = stackConfiguration(store(), loading);
    await stack.create!(stack).loadImages([image('large')], listener({}));
    expect(created[0]!.stages).toHaveLength(5);
  });
});

describe('a volume', () => {
  it('asks for each frame by its own cut, and loads it without the hook', async () => {
    const { loading, loaded, listeners } = client();
    const volume = volumeConfiguration(store(), loading);
    await volume.create!(volume).loadImages([image('large'), image('noisy')], listener({ targetBuffer: 1 }));
    const pass = (uid: string, retrieveType: string) => {
      const options = { ...listeners[0]!.getLoaderImageOptions(image(uid))!, retrieveType, retrieveOptions: {} };
      void options.loader!(image(uid), options);
      return loaded.at(-1)![1];
    };
    expect(pass('large', 'multipleFast')).toEqual({
      targetBuffer: 1,
      retrieveType: 'multipleFast',
      retrieveOptions: { chunkSize: 1, rangeIndex: 123 + 279_814 - 1 },
    });
    expect(pass('small', 'multipleFast').retrieveOptions).toEqual({ chunkSize: 1, rangeIndex: 123 + 16_000 - 1 });
    expect(pass('large', 'multipleFinal').retrieveOptions).toEqual({ chunkSize: 1, rangeIndex: -1 });
    expect(pass('large', 'default').retrieveOptions).toEqual({});
    for (const type of ['multipleFast', 'multipleFinal', 'default']) expect(pass('noisy', type).retrieveOptions).toEqual({});
  });

  it('hands only plain values to the workers', async () => {
    const { loading } = client();
    const levels = store();
    await levels.wait(image('large'), 1000);
    for (const pass of ['multipleFast', 'multipleFinal']) {
      expect(() => structuredClone(volumeFrameOptions(image('large'), pass, levels, loading))).not.toThrow();
    }
  });

  it('has no options for an image that its listener no longer wants', async () => {
    const { loading, listeners } = client();
    const volume = volumeConfiguration(store(), loading);
    await volume.create!(volume).loadImages([image('large')], listener(undefined));
    expect(listeners[0]!.getLoaderImageOptions(image('large'))).toBeUndefined();
  });
});
