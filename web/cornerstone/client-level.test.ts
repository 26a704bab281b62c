import { describe, expect, it } from 'vitest';
import { bytesToAskFor, levelAskedFor } from './client-level.ts';

describe('the level that the client asks for', () => {
  it('turns at 27 %, 8.25 % and 3.5625 % of the bytes', () => {
    const total = 1_000_000;
    expect(levelAskedFor(270_000, total)).toBe(1);
    expect(levelAskedFor(270_001, total)).toBe(0);
    expect(levelAskedFor(82_500, total)).toBe(2);
    expect(levelAskedFor(82_501, total)).toBe(1);
    expect(levelAskedFor(35_625, total)).toBe(3);
    expect(levelAskedFor(35_626, total)).toBe(2);
    expect(levelAskedFor(1, total)).toBe(3);
    expect(levelAskedFor(total, total)).toBe(0);
  });

  it('is asked for from the fewest bytes on, and not from one byte less', () => {
    for (const total of [1_000, 65_537, 2_026_650, 5_879_399]) {
      for (const level of [0, 1, 2]) {
        const bytes = bytesToAskFor(level, total);
        expect(levelAskedFor(bytes, total)).toBe(level);
        expect(levelAskedFor(bytes - 1, total)).toBe(level + 1);
      }
      expect(bytesToAskFor(3, total)).toBe(1);
    }
    expect(() => bytesToAskFor(4, 100)).toThrow(RangeError);
  });
});
