import { expect, it } from 'vitest';
import type { Frames } from '@firstlight/loader/cornerstone';
import { FullQuality } from '../src/full-quality.ts';

/** A page with a stack of `count` images of HTJ2K, the third of which is shown. */
function page(count: number, side: number) {
  const imageIds = Array.from({ length: count }, (_, n) => `wadors:http://a/dicom-web/studies/1/series/2/instances/${n}/frames/1`);
  const viewports = [{ getImageIds: () => imageIds, getCurrentImageIdIndex: () => 2 }, { getAllVolumeIds: () => ['v'], getImageIds: () => imageIds }];
  const kept = new Map<string, string>();
  const modules: Record<string, object> = { transferSyntax: { transferSyntaxUID: '1.2.840.10008.1.2.4.202' }, imagePixelModule: { rows: side, columns: side, samplesPerPixel: 1, bitsAllocated: 16, bitsStored: 16, pixelRepresentation: 0, photometricInterpretation: 'MONOCHROME2' }, imagePlaneModule: { rows: side, columns: side } };
  const view = {
    cornerstone: { getRenderingEngines: () => [{ getViewports: () => viewports }], metaData: { get: (type: string) => modules[type] } },
    localStorage: { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => kept.set(name, value), removeItem: (name: string) => kept.delete(name) },
  } as unknown as Window;
  const clients = new Set<unknown>();
  const frames = { add: (client: unknown) => clients.add(client), remove: (client: unknown) => clients.delete(client) } as unknown as Frames;
  return { view, frames, clients, numbers: (wishes: readonly { frame: string }[]) => wishes.map(({ frame }) => Number(/instances\/(\d+)/.exec(frame)![1])) };
}

it('wants every image of a stack whole, outwards from the one that is looked at', () => {
  const { view, frames, clients, numbers } = page(6, 512);
  const quality = new FullQuality(frames, view);
  expect(clients.size).toBe(0);
  quality.on = true;
  expect(clients.has(quality)).toBe(true);
  const { now, later } = quality.wishes();
  expect([numbers(now), numbers(later)]).toEqual([[2], [3, 1, 4, 0, 5]]);
  expect([...now, ...later].every(({ level }) => level === 0)).toBe(true);
  // It is kept for the next visit, until it is turned off.
  expect(new FullQuality(frames, view).on).toBe(true);
  quality.on = false;
  expect(new FullQuality(frames, view).on).toBe(false);
});

it('stays within a bound of memory', () => {
  const { view, frames } = page(40, 4096);
  const quality = new FullQuality(frames, view);
  quality.on = true;
  expect(quality.wishes().later.length).toBe(8);
});
