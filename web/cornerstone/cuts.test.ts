import { describe, expect, it } from 'vitest';
import { levelAskedFor } from './client-level.ts';
import { goodCuts, quickCut } from './cuts.ts';
import type { FrameLevels } from './levels.ts';

const frame = (length: number, shares: number[], more: Partial<FrameLevels> = {}): FrameLevels => ({
  transferSyntax: '1.2.840.10008.1.2.4.202',
  bodyOffset: 123,
  length,
  ends: [...shares.map(share => Math.round((share / 100) * length)), length],
  ...more,
});

/** Real shares: a mammogram, a chest radiograph, CT slices. */
const MAMMOGRAM = frame(5_879_399, [0.12, 0.23, 0.6, 1.92, 6.92, 26.4]);
const CHEST = frame(4_252_503, [0.22, 0.54, 1.77, 6.58, 25.61]);
const SLICE = frame(211_015, [0.28, 0.79, 2.52, 8.44, 29.34]);
const NOISY_SLICE = frame(137_126, [0.42, 1.19, 3.72, 11.83, 36.75]);

describe('cuts', () => {
  it('stand at the end of each level where the client asks for that level there', () => {
    for (const image of [MAMMOGRAM, CHEST]) {
      const cuts = goodCuts(image);
      expect(cuts.map(cut => cut.level)).toEqual([3, 2, 1]);
      for (const { bytes, level } of cuts) expect(bytes).toBe(image.bodyOffset + image.ends.at(-1 - level)!);
    }
  });

  it('leave out a level that ends after the client asks for the next', () => {
    expect(goodCuts(SLICE).map(cut => cut.level)).toEqual([3]);
    expect(goodCuts(NOISY_SLICE)).toEqual([]);
  });

  it('move up to the share at which the client asks for the level', () => {
    const image = frame(1_000_000, [0.1, 0.3, 0.9, 2, 5]);
    const cuts = goodCuts(image);
    expect(cuts.map(cut => cut.level)).toEqual([3, 2, 1]);
    expect(cuts[1]!.bytes).toBeGreaterThan(image.bodyOffset + image.ends[3]!);
    expect(levelAskedFor(cuts[1]!.bytes, image.length + 200)).toBe(2);
  });

  it('always hold the level asked for, whatever the ends and the length of what follows the codestream', () => {
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff;
    let cuts = 0;
    for (let round = 0; round < 5_000; round++) {
      const levels = 1 + Math.floor(random() * 7);
      let share = 100;
      const shares: number[] = [];
      for (let i = 0; i < levels; i++) shares.unshift((share *= 0.1 + 0.6 * random()));
      const image = frame(10_000 + Math.floor(random() * 5_000_000), shares, { bodyOffset: Math.floor(random() * 400) });
      let before = 0;
      for (const { bytes } of goodCuts(image)) {
        for (const trailer of [0, 1, 46, 80]) {
          const asked = levelAskedFor(bytes, image.bodyOffset + image.length + trailer);
          expect(bytes).toBeGreaterThanOrEqual(image.bodyOffset + image.ends.at(-1 - asked)!);
        }
        expect(bytes).toBeGreaterThan(before);
        expect(bytes).toBeLessThan(image.bodyOffset + image.length);
        before = bytes;
        cuts++;
      }
    }
    expect(cuts).toBeGreaterThan(1_000);
  });

  it('are none for other syntaxes and for frames without levels', () => {
    for (const transferSyntax of ['1.2.840.10008.1.2.4.201', '1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.50']) {
      expect(goodCuts({ ...CHEST, transferSyntax })).toEqual([]);
    }
    expect(goodCuts({ ...CHEST, ends: [] })).toEqual([]);
    expect(goodCuts({ ...CHEST, ends: [CHEST.length] })).toEqual([]);
  });

  it('for a quick look cost no more than the share allowed', () => {
    expect(quickCut(CHEST, 0.2)?.level).toBe(2);
    expect(quickCut(CHEST, 0.03)?.level).toBe(3);
    expect(quickCut(CHEST, 0.01)).toBeNull();
    expect(quickCut(NOISY_SLICE, 0.2)).toBeNull();
  });
});
