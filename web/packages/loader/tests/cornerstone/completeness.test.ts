import { describe, expect, it } from 'vitest';
import { completeness, type ShownImage, type ShownVolume } from '../../src/cornerstone/completeness.ts';

const stack = (image?: ShownImage, current = image?.imageId) =>
  completeness({ type: 'stack', getCornerstoneImage: () => image, getCurrentImageId: () => current }, () => undefined).state;

const volumes = (...all: (ShownVolume | undefined)[]) =>
  completeness({ type: 'orthographic', getAllVolumeIds: () => all.map((_, i) => String(i)) }, id => all[Number(id)]);

describe('a stack', () => {
  it('is complete at quality 8 and at nothing less', () => {
    for (const status of [1, 3, 6, 7]) expect(stack({ imageId: 'wadors:a', imageQualityStatus: status })).toBe('preview');
    expect(stack({ imageId: 'wadors:a', imageQualityStatus: 8 })).toBe('complete');
  });

  it('is a preview while it still shows another image than its current one', () => {
    expect(stack({ imageId: 'wadors:a', imageQualityStatus: 8 }, 'wadors:b')).toBe('preview');
  });

  it('is in doubt a preview, but for images that come whole', () => {
    expect(stack({ imageId: 'wadors:a' })).toBe('preview');
    expect(stack({ imageId: 'derived:a' })).toBe('complete');
    expect(stack(undefined)).toBe('empty');
  });
});

describe('a volume', () => {
  const imageIds = ['a', 'b', 'c', 'd'];

  it('is complete when each of its frames is', () => {
    expect(volumes({ imageIds, cachedFrames: [8, 8, 8, 8] })).toEqual({ state: 'complete' });
    expect(volumes({ imageIds, cachedFrames: [8, 3, 6, 8] })).toEqual({ state: 'preview', share: 0.5, why: { missing: 0, interpolated: 0.25 } });
    expect(volumes({ imageIds, cachedFrames: [] })).toEqual({ state: 'preview', share: 0, why: { missing: 1, interpolated: 0 } });
  });

  it('waits for every volume that is shown; a segmentation is not filled from frames', () => {
    const full = { imageIds, cachedFrames: [8, 8, 8, 8] };
    expect(volumes(full, { imageIds, cachedFrames: [8, 8] }).state).toBe('preview');
    expect(volumes(full, { imageIds }).state).toBe('complete');
    expect(volumes(undefined).state).toBe('empty');
    expect(volumes().state).toBe('empty');
  });
});

it('says nothing of viewports without images', () => {
  expect(completeness({ type: 'video' }, () => undefined)).toEqual({ state: 'empty' });
});
