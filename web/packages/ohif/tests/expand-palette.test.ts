import { describe, expect, it } from 'vitest';
import { expandPalette, expandSegments, type Descriptor } from '../src/expand-palette.ts';

const words = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);
const bytes = (...values: number[]) => Uint8Array.from(values);

describe('segments', () => {
  it('are discrete, linear and indirect', () => {
    const data = words(0, 1, 0, 1, 4, 100, 2, 1, 6, 0);
    expect(expandSegments([9, 0, 16], data)).toEqual([0, 25, 50, 75, 100, 100, 100, 100, 100]);
    expect(expandSegments([9, 0, 16], words(0, 1, 0, 1, 4, 100, 2, 1, 3, 0))).toEqual(expandSegments([9, 0, 16], data));
  });

  it('are of bytes where the descriptor says 8 bits', () => {
    const data = bytes(0, 1, 200, 1, 5, 100, 2, 2, 0, 0, 0, 0);
    expect(expandSegments([12, 0, 8], data)).toEqual([200, 180, 160, 140, 120, 100, 200, 180, 160, 140, 120, 100]);
    expect(expandSegments([6, 0, 8], words(0, 1, 200, 1, 5, 100))).toEqual([200, 180, 160, 140, 120, 100]);
  });

  it('are 65536 where the descriptor says 0', () => {
    const table = expandSegments([0, 0, 16], words(0, 1, 0, 1, 65535, 65535));
    expect([table?.length, table?.[1], table?.[65535]]).toEqual([65536, 1, 65535]);
  });

  it('are no palette where they make no sense', () => {
    for (const data of [[7, 1, 0], [1, 1, 0], [0, 1, 0, 2, 1, 6, 0], [0, 9, 1], [0, 1, 0, 2, 1, 6]]) {
      expect(expandSegments([9, 0, 16], words(...data))).toBeNull();
    }
  });
});

it('a palette becomes 8 bits a colour, all three alike', () => {
  const ramp = (end: number) => words(0, 1, 0, 1, 2, end);
  const wide = expandPalette([3, -1, 16], [ramp(0xffff), ramp(0x8000), ramp(200)]);
  expect(wide).toEqual({ descriptor: [3, -1, 8], tables: [bytes(0, 128, 255), bytes(0, 64, 128), bytes(0, 0, 0)] });
  const narrow = expandPalette([3, 0, 16], [ramp(255), ramp(128), ramp(2)]);
  expect(narrow?.tables).toEqual([bytes(0, 128, 255), bytes(0, 64, 128), bytes(0, 1, 2)]);
  const broken: Descriptor = [3, 0, 16];
  expect(expandPalette(broken, [ramp(255), words(9, 9, 9), ramp(2)])).toBeNull();
});
