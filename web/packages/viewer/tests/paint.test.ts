import { describe, expect, it } from 'vitest';
import type { DataSet } from '../src/dicom/dataset.ts';
import { native } from '../src/load/native.ts';
import { fill } from '../src/paint/canvas.ts';
import { LayerMaker } from '../src/paint/layer.ts';
import { halvings, texelsOf, type Image } from '../src/paint/texels.ts';
import { colourTable, firstTone, grey, type Tone } from '../src/paint/tone.ts';
import type { Picture } from '../src/dicom/picture.ts';
import { FIT } from '../src/view/geometry.ts';
import { decimals, one, words } from './pictures.ts';

/** Greys of a picture of one row that is shown pixel for pixel. */
function painted(picture: Picture, tone: Tone, samples: Image['samples']): number[] {
  const [width, components] = [samples.length / picture.samples, picture.samples];
  const row = { ...picture, columns: width, rows: 1 };
  const layer = new LayerMaker().make(row, { width, height: 1, components, level: 0, samples }, tone, { width, height: 1 }, FIT);
  const out = new Uint8ClampedArray(4 * width);
  fill(layer, width, 1, out);
  return [...out].filter((_, n) => n % 4 === 0);
}

describe('greys', () => {
  it('are those of PS3.3 C.11.2.1.2', () => {
    const of = (value: number, width: number, how = 'LINEAR') => grey(value, { centre: 2048, width }, how);
    expect([of(0, 4096), of(4095, 4096), of(2047.5, 4096)]).toEqual([0, 1, 0.5]);
    expect([of(2047, 1), of(2048, 1)]).toEqual([0, 1]);
    expect(of(2048, 100, 'LINEAR_EXACT')).toBe(0.5);
    expect(of(2048, 100, 'SIGMOID')).toBe(0.5);
    expect(of(2048, 0.5)).toBe(0.5);
  });

  it('fill the range where no window is named, padding left out', () => {
    const picture = one({ '00280120': decimals(4000) });
    const pixels = { width: 3, height: 1, components: 1, samples: Uint16Array.from([100, 200, 4000]) };
    expect(painted(picture, firstTone(picture, pixels), pixels.samples)).toEqual([0, 255, 0]);
  });

  it('are turned round for MONOCHROME1, and by the user', () => {
    const shown = (photometric: string, inverted: boolean) => painted(one({ '00280004': words(photometric) }), { centre: 2048, width: 4096, inverted }, Uint16Array.from([0, 4095]));
    expect(shown('MONOCHROME2', false)).toEqual([0, 255]);
    expect(shown('MONOCHROME1', false)).toEqual([255, 0]);
    expect(shown('MONOCHROME1', true)).toEqual([0, 255]);
  });

  it('reads samples as they lie in Explicit VR Little Endian', () => {
    const picture = { ...one(), columns: 2, rows: 1, samples: 3, bitsAllocated: 8, planar: true };
    expect([...native(picture, Uint8Array.from([1, 2, 3, 4, 5, 6, 0])).samples]).toEqual([1, 3, 5, 2, 4, 6]);
    expect(() => native({ ...picture, columns: 9 }, new Uint8Array(6))).toThrow('bytes');
    expect([...native({ ...picture, samples: 1, bitsAllocated: 16, signed: true, columns: 1 }, Uint8Array.from([0xfe, 0xff])).samples]).toEqual([-2]);
  });
});

describe('luminance and chrominance', () => {
  const ybr = (photometric: string) => ({ ...one({ '00280004': words(photometric) }), columns: 2, rows: 1, samples: 3, bitsAllocated: 8, bitsStored: 8 });

  it('become colours, whether chrominance is there for each pixel or for two', () => {
    expect([...native(ybr('YBR_FULL'), Uint8Array.from([100, 128, 128, 76, 85, 255])).samples]).toEqual([100, 100, 100, 254, 0, 0]);
    expect([...native(ybr('YBR_FULL_422'), Uint8Array.from([100, 128, 128, 76, 85, 255])).samples]).toEqual([100, 100, 100, 254, 0, 0]);
    expect([...native(ybr('YBR_FULL_422'), Uint8Array.from([100, 50, 128, 128])).samples]).toEqual([100, 100, 100, 50, 50, 50]);
    expect(() => native(ybr('YBR_FULL_422'), new Uint8Array(3))).toThrow('bytes');
  });
});

describe('the table of greys', () => {
  const form = (samples: { BYTES_PER_ELEMENT: number }, signed: boolean) => ({ bits: samples, signed, scale: 1, offset: 0 });
  const red = (table: Uint32Array, at: number) => table[at & (table.length - 1)]! & 255;

  it('is by the bits of a sample, negative ones too', () => {
    const table = colourTable(one(), { centre: 0, width: 200, inverted: false }, form(new Uint16Array(), true));
    expect(table.length).toBe(65536);
    expect([red(table, -1000), red(table, 0), red(table, 1000)]).toEqual([0, 128, 255]);
    expect(colourTable(one(), { centre: 0, width: 200, inverted: false }, form(new Uint8Array(), false)).length).toBe(256);
  });

  it("takes the image's own table where it has no window", () => {
    const lut = { '00283010': { vr: 'SQ', Value: [{ '00283002': { vr: 'US', Value: [3, 10, 8] }, '00283006': { vr: 'US', Value: [0, 51, 255] } }] } };
    const picture = one(lut);
    const tone = firstTone(picture, { samples: Uint16Array.from([9, 12]) });
    expect(tone.lut).toBe(true);
    const table = colourTable(picture, tone, form(new Uint16Array(), false));
    expect([9, 10, 11, 12, 13].map(value => red(table, value))).toEqual([0, 0, 51, 255, 255]);
  });

  it('looks up colours of a palette, ends beyond its ends', () => {
    const entry = (...values: number[]) => ({ vr: 'OW', InlineBinary: btoa(String.fromCharCode(...values)) });
    const descriptor = { vr: 'US', Value: [2, 1, 8] };
    const picture = one({ '00280004': words('PALETTE COLOR'), '00281101': descriptor, '00281201': entry(1, 2), '00281202': entry(3, 4), '00281203': entry(5, 6) });
    const table = colourTable(picture, { centre: 0, width: 1, inverted: false }, form(new Uint8Array(), false));
    expect([0, 1, 2, 9].map(index => table[index]! & 0xffffff)).toEqual([0x050301, 0x050301, 0x060402, 0x060402]);
  });
});

describe('texels', () => {
  const square = (side: number, of: (x: number, y: number) => number): Image => ({ width: side, height: side, components: 1, level: 0, samples: Int16Array.from({ length: side * side }, (_, n) => of(n % side, Math.floor(n / side))) });

  it('are no finer than the screen by a half', () => {
    expect([0.5, 1, 1.9, 2, 3.9, 4, 9].map(halvings)).toEqual([0, 0, 0, 1, 1, 2, 3]);
  });

  it('are means; padding is no part of them, and labels are not averaged', () => {
    const means = (more: DataSet, image: Image) => [...new Int16Array(texelsOf(one(more), image, 1).bits.buffer)];
    expect(means({}, square(4, (x, y) => x + 10 * y))).toEqual([6, 8, 26, 28]);
    expect(means({ '00280120': decimals(-2000) }, square(2, (x, y) => (x + y === 0 ? -2000 : 30)))).toEqual([30]);
    expect(means({ '00080060': words('SEG') }, square(2, (x, y) => 10 * x + y))).toEqual([11]);
  });

  it('of more than 16 bits keep their range', () => {
    const texels = texelsOf(one(), { width: 3, height: 1, components: 1, level: 0, samples: Int32Array.from([-100000, 0, 300000]) }, 0);
    const values = [...texels.bits].map(bits => bits * texels.scale + texels.offset);
    for (const [n, value] of [-100000, 0, 300000].entries()) expect(Math.abs(values[n]! - value)).toBeLessThan(4);
  });

  it('of a level stand where the full image has their middle', () => {
    const picture = { ...one(), columns: 8, rows: 8 };
    const image: Image = { width: 2, height: 2, components: 1, level: 2, samples: Uint16Array.from([1, 2, 3, 4]) };
    const { across } = new LayerMaker().make(picture, image, { centre: 2, width: 4, inverted: false }, { width: 8, height: 8 }, FIT);
    expect(across.at).toBeCloseTo(0);
    expect(across.at + 4 * across.step).toBeCloseTo(1);
  });
});
