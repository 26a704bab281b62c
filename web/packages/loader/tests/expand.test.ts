import { expect, it } from 'vitest';
import { expandInto } from '../src/loading/expand.ts';
import { pictureOf, valuesOf } from '../src/loading/picture.ts';
import type { HtImage } from '@firstlight/htj2k';

it('puts samples where their pixels are, and straight lines between them', () => {
  const full = new Int16Array(7 * 5);
  const ramp = (columns: number, rows: number, step: number) => Int16Array.from({ length: columns * rows }, (_, n) => 10 * step * (n % columns) + 100 * step * Math.floor(n / columns));
  expandInto(full, 7, 5, ramp(4, 3, 2), 4, 1);
  for (let y = 0; y < 5; y++) for (let x = 0; x < 7; x++) expect(full[y * 7 + x], `${x} ${y}`).toBe(10 * x + 100 * y);
  const far = new Int16Array(9 * 9);
  expandInto(far, 9, 9, ramp(3, 3, 4), 3, 2);
  for (let y = 0; y < 9; y++) for (let x = 0; x < 9; x++) expect(far[y * 9 + x], `${x} ${y}`).toBe(10 * x + 100 * y);
});

it('carries the last sample on', () => {
  const full = new Uint8Array(6 * 2);
  expandInto(full, 6, 2, [1, 5, 9], 3, 1);
  expect([...full]).toEqual([1, 3, 5, 7, 9, 9, 1, 3, 5, 7, 9, 9]);
});

const image = (samples: HtImage['samples'], more: Partial<HtImage> = {}): HtImage => ({
  width: samples.length, height: 1, components: 1, precision: 12, signed: samples instanceof Int16Array, level: 0, complete: true, need: undefined, samples, ...more,
});

it('makes values of samples as the rescale says, in an array that holds whatever can come', () => {
  expect(valuesOf(image(new Uint16Array([0, 4095])), { slope: 1, intercept: -1024, bits: 12 })).toEqual(new Int16Array([-1024, 3071]));
  expect(valuesOf(image(new Uint16Array([0, 65535]), { precision: 16 }), { slope: 1, intercept: -1024, bits: 16 })).toEqual(new Float32Array([-1024, 64511]));
  expect(valuesOf(image(new Uint8Array([3]), { precision: 8 }), { slope: 0.5, intercept: 0, bits: 8 })).toEqual(new Float32Array([1.5]));
  expect(valuesOf(image(new Int8Array([-3]), { precision: 8, signed: true }), { slope: 1, intercept: 0, bits: 8 })).toEqual(new Int16Array([-3]));
  expect(valuesOf(image(new Int16Array([0x0fff]), { precision: 16 }), { slope: 1, intercept: 0, bits: 12 })).toEqual(new Int16Array([-1]));
  const samples = new Int16Array([-5, 5]);
  expect(valuesOf(image(samples), { slope: 1, intercept: 0, bits: 12 })).toBe(samples);
});

it('tells the range of the values, and spreads a level over the full image where that is wanted', () => {
  const picture = pictureOf(image(new Int16Array([0, 10, 20]), { level: 1, width: 3 }), { slope: 2, intercept: 1, bits: 12, full: { width: 6, height: 1 } });
  expect(picture).toMatchObject({ level: 1, width: 6, height: 1, min: 1, max: 41 });
  expect([...picture.values]).toEqual([1, 11, 21, 31, 41, 41]);
});
