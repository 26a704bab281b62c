import { describe, expect, it } from 'vitest';
import { geometryOf, levelWithin, remarks, type Geometry } from '../src/lazy/mpr/geometry.ts';
import { cut, onPlane, planesOf, pointOn } from '../src/lazy/mpr/planes.ts';
import { Volume } from '../src/lazy/mpr/volume.ts';
import type { Image } from '../src/load/loading.ts';
import { edgeLetters } from '../src/dicom/planes.ts';
import type { DataSet } from '../src/dicom/dataset.ts';
import { decimals, one, words } from './pictures.ts';

const SIDE = { columns: 16, rows: 16 };
/** Axial slices at these heights, each moved by `shear` down its rows for each millimetre. */
const slices = (heights: number[], shear = 0, more: DataSet = {}) =>
  heights.map(z => ({ ...one({ '00080060': words('CT'), '00200052': words('F'), '00280030': decimals(1, 1), '00200037': decimals(1, 0, 0, 0, 1, 0), '00200032': decimals(0, z * shear, z), ...more }), ...SIDE }));
const good = (heights: number[], shear = 0) => geometryOf(slices(heights, shear)) as Geometry;
/** Samples that are a function of the patient's coordinates, so that every cut can be checked against it. */
const filled = (geometry: Geometry, of: (x: number, y: number, z: number) => number, skip: number[] = []) => {
  const volume = new Volume(geometry, { level: 0, ...SIDE }, true);
  geometry.offsets.forEach(([x0, y0, z], n) => {
    const samples = Int16Array.from({ length: 256 }, (_, i) => of((i % 16) + x0, Math.floor(i / 16) + y0, z));
    if (!skip.includes(n)) volume.put(n, { width: 16, height: 16, components: 1, precision: 16, signed: true, level: 0, complete: true, need: undefined, samples, bytes: 512 } satisfies Image);
  });
  return volume;
};

describe('a volume', () => {
  it('is refused with a sentence where its slices are none', () => {
    expect(geometryOf(slices([0, 1]))).toContain('three');
    expect(geometryOf(slices([0, 1, 1, 2]))).toContain('same place');
    expect(geometryOf(slices([0, 1, 2], 0, { '00200032': { vr: 'DS' } }))).toContain('where they are');
    expect(geometryOf([...slices([0, 1]), { ...slices([2])[0]!, rows: 8 }])).toContain('differ');
    expect(geometryOf([...slices([0, 1]), ...slices([2], 0, { '00200037': decimals(1, 0, 0, 0, 0.8, 0.6) })])).toContain('differ');
    expect(geometryOf(slices([0, 1, 2], 0, { '00080060': words('DX'), '00280030': { vr: 'DS' }, '00181164': decimals(1, 1) }))).toContain('depth');
  });

  it('tells of a tilted gantry and of gaps', () => {
    expect(remarks(good([0, 1, 2, 3]))).toEqual([]);
    expect(remarks(good([0, 1, 2, 3], Math.tan((20 * Math.PI) / 180)))[0]).toContain('20.0°');
    expect(good([0, 1, 2, 5, 6]).gaps).toEqual([2]);
    expect(remarks(good([0, 1, 2, 5, 6]))[0]).toContain('left black');
  });

  it('takes the level that fits memory', () => {
    expect(levelWithin(24 << 20, { columns: 512, rows: 512, slices: 40 })).toEqual({ level: 0, columns: 512, rows: 512 });
    expect(levelWithin(24 << 20, { columns: 512, rows: 512, slices: 143 })).toEqual({ level: 1, columns: 256, rows: 256 });
    expect(levelWithin(24 << 20, { columns: 512, rows: 512, slices: 500 })).toEqual({ level: 2, columns: 128, rows: 128 });
    expect(levelWithin(1000, { columns: 512, rows: 512, slices: 500 })).toBeUndefined();
  });

  // A linear function of the patient's coordinates is reproduced by linear interpolation exactly, whatever the geometry.
  const linear = (x: number, y: number, z: number) => 100 * x + 10 * y + 1000 * z;
  const check = (volume: Volume, picture = slices([0])[0]!) => {
    let seen = 0;
    for (const plane of planesOf(volume.geometry)) {
      const through = volume.bounds.from.map((from, n) => (from + volume.bounds.to[n]!) / 2) as [number, number, number];
      const { image } = cut(volume, plane, through, picture);
      for (let y = 0; y < image.height; y += 2) {
        for (let x = 0; x < image.width; x += 3) {
          const value = image.samples[y * image.width + x]!;
          if (value === -2048) continue;
          const point = pointOn(volume, plane, through, { x: x + 0.5, y: y + 0.5 });
          expect(Math.abs(value - linear(...point))).toBeLessThanOrEqual(1);
          seen++;
        }
      }
    }
    return seen;
  };
  const signed = { ...slices([0])[0]!, signed: true, bitsStored: 12 };

  it('is cut right where slices are even, uneven, or tilted', () => {
    expect(check(filled(good([0, 1, 2, 3, 4, 5, 6, 7]), linear), signed)).toBeGreaterThan(60);
    expect(check(filled(good([0, 1, 2.2, 3, 4.4, 5, 6.3, 7]), linear), signed)).toBeGreaterThan(60);
    expect(check(filled(good([0, 1, 2, 3, 4, 5, 6, 7], 0.4), linear), signed)).toBeGreaterThan(60);
  });

  it('has nothing where a slice is missing or has not come', () => {
    const column = (volume: Volume) => {
      const plane = planesOf(volume.geometry)[1]!;
      const { image } = cut(volume, plane, [8, 8, 3], signed);
      return Array.from({ length: image.height }, (_, y) => image.samples[y * image.width + 8] !== -2048).reverse();
    };
    expect(column(filled(good([0, 1, 2, 5, 6]), linear))).toEqual([true, true, true, false, false, true, true]);
    expect(column(filled(good([0, 1, 2, 3, 4]), linear, [2]))).toEqual([true, true, false, true, true]);
  });

  it('has head above and letters that say so', () => {
    const volume = filled(good([0, 1, 2, 3]), linear);
    const seen = planesOf(volume.geometry).map(plane => [plane.name, edgeLetters(cut(volume, plane, [8, 8, 1], signed).picture)]);
    expect(seen).toEqual([
      ['Axial', { left: 'R', right: 'L', top: 'A', bottom: 'P' }],
      ['Coronal', { left: 'R', right: 'L', top: 'H', bottom: 'F' }],
      ['Sagittal', { left: 'A', right: 'P', top: 'H', bottom: 'F' }],
    ]);
  });

  it('points on its planes go there and back', () => {
    const volume = filled(good([0, 1, 2, 3]), linear);
    for (const plane of planesOf(volume.geometry)) {
      const there = onPlane(volume, plane, [5, 6, 2]);
      pointOn(volume, plane, [5, 6, 2], there).forEach((value, n) => expect(value).toBeCloseTo([5, 6, 2][n]!));
    }
  });

  it('takes finer slices than its level, as means', () => {
    const volume = new Volume(good([0, 1, 2]), { level: 1, columns: 8, rows: 8 }, true);
    volume.put(0, { width: 16, height: 16, components: 1, precision: 16, signed: true, level: 0, complete: true, need: undefined, samples: new Int16Array(256).fill(7), bytes: 512 });
    expect(volume.count).toBe(1);
    expect([...volume.cut([4, 4, 0], [1, 0, 0], [0, 1, 0], 2, 2, -1)]).toEqual([7, 7, 7, 7]);
  });
});
