import { expect, it } from 'vitest';
import { lossOf } from '../src/lossy-mark.ts';
import { figures } from '../src/quality-panel.ts';
import { Silence, trouble } from '../src/status.ts';
import type { Viewport } from '../src/host.ts';

const line = (bytes: number, open: number) => ({ throughput: undefined, delay: undefined, bytes, open });

it('a line that stands still is told of, and taken back when it moves', () => {
  let now = 0;
  const silence = new Silence(() => now);
  const after = (ms: number, bytes: number, open = 1) => {
    now += ms;
    return silence.look(line(bytes, open));
  };
  expect([after(0, 10), after(1000, 10), after(1000, 10)]).toEqual([undefined, undefined, undefined]);
  expect(after(1000, 10)).toBe('nothing has come for 3 s, waiting for the server');
  expect(after(1000, 11)).toBeUndefined();
  // Nothing is awaited: silence is no trouble.
  expect([after(5000, 11, 0), after(5000, 11, 0), after(1000, 11)]).toEqual([undefined, undefined, undefined]);
});

it('what the image waits for is told before the silence of the line', () => {
  const viewport = { getCurrentImageId: () => 'a' } as unknown as Viewport;
  const frames = (state: object) => ({ state: () => state, trouble: undefined }) as Parameters<typeof trouble>[1];
  expect(trouble(viewport, frames({ state: 'retrying', inMs: 3900, reason: 'connection lost' }), 'silent')).toBe('connection lost, trying again in 4 s');
  expect(trouble(viewport, frames({ state: 'receiving', have: 1 }), 'silent')).toBe('silent');
  expect(trouble(viewport, frames({ state: 'idle' }), undefined)).toBeUndefined();
});

it('an image that was compressed with loss says so, with its ratios', () => {
  expect(lossOf({ LossyImageCompression: '01', LossyImageCompressionRatio: '15.512' })).toBe('Lossy 16 : 1');
  expect(lossOf({ LossyImageCompression: '01', LossyImageCompressionRatio: ['8', 2.5] })).toBe('Lossy 8.0 : 1, then 2.5 : 1');
  expect(lossOf({ LossyImageCompression: '01' })).toBe('Lossy, ratio not told');
  expect(lossOf({ LossyImageCompression: '00' })).toBeUndefined();
  expect(lossOf(undefined)).toBeUndefined();
});

it('the panel says what the line gives', () => {
  const told = { image: '512 × 512 of 512 × 512', bytes: 4_250_000, throughput: 3_750_000, delay: 12.4, first: 830, savesData: false };
  expect(figures(told)).toEqual({ Image: told.image, Line: '30.0 Mbit/s, 12 ms', Received: '4.3 MB', 'First image': 'after 0.8 s' });
  expect(figures({ ...told, throughput: undefined, first: undefined })).toMatchObject({ Line: 'not measured yet', 'First image': 'not there yet' });
});
