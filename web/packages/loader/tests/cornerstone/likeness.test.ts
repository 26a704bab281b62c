import { expect, it } from 'vitest';
import { crossing, leastLike, likenessBetween } from '../../src/cornerstone/likeness.ts';

const WIDTH = 64;
const WINDOW = { lower: 0, upper: 255 };
const lines = (upper: (x: number) => number, lower: (x: number) => number) => Float32Array.from({ length: 2 * WIDTH }, (_, n) => (n < WIDTH ? upper(n) : lower(n - WIDTH)));
const between = (values: Float32Array, window = WINDOW) => likenessBetween(values, { one: 0, other: WIDTH, step: 1, length: WIDTH, window });
/** Grain that is the same in every run. */
const grain = (amount: number, seed: number) => (x: number) => 100 + amount * Math.sin(12.9898 * (x + seed) ** 2);

it('lines that agree leave nothing out; the more they differ, the more is missing', () => {
  expect(between(lines(x => 2 * x, x => 2 * x))).toBe(1);
  const [faint, strong] = [between(lines(grain(2, 1), grain(2, 70))), between(lines(grain(30, 1), grain(30, 70)))];
  expect(faint).toBeGreaterThan(0.95);
  expect(strong).toBeLessThan(0.85);
});

it('is of what the window shows', () => {
  const values = lines(grain(30, 1), grain(30, 70));
  expect(between(values, { lower: -2000, upper: 4000 })).toBeGreaterThan(0.98);
  expect(between(values, { lower: 500, upper: 600 })).toBe(1);
});

it('reads columns as it reads rows', () => {
  const rows = lines(grain(20, 3), grain(20, 50));
  const columns = Float32Array.from({ length: 2 * WIDTH }, (_, n) => rows[(n % 2) * WIDTH + (n >> 1)]!);
  expect(likenessBetween(columns, { one: 0, other: 1, step: 2, length: WIDTH, window: WINDOW })).toBeCloseTo(between(rows), 6);
});

it('knows where a plane crosses the slices, and that on samples nothing is left out', () => {
  const slices = { width: 8, height: 6, direction: [1, 0, 0, 0, 1, 0, 0, 0, 1], apart: 2 };
  const at = (normal: number[], index: number[]) => crossing(slices, { normal, index, window: WINDOW });
  expect(at([0, 1, 0], [4, 3, 1])).toEqual({ region: { x: 0, y: 3, width: 8, height: 1 }, detail: 'rows', one: 16, other: 32, step: 1, length: 8, window: WINDOW });
  expect(at([-1, 0, 0], [5, 3, 1])).toEqual({ region: { x: 5, y: 0, width: 1, height: 6 }, detail: 'columns', one: 4, other: 6, step: 8, length: 6, window: WINDOW });
  // Between two lines of pixels it is the mean of both.
  expect(at([0, 1, 0], [4, 2.5, 1])!.region).toEqual({ x: 0, y: 2, width: 8, height: 2 });
  expect(at([0, 1, 0], [4, 2, 1])).toBeUndefined();
  expect(at([0, 1, 0], [4, 5, 1])).toBeUndefined();
  expect(at([0, 0, 1], [5, 3, 1])).toBeUndefined();
  expect(at([0, 0.7, 0.7], [5, 3, 1])).toBeUndefined();
});

it('names as few slices as the goal takes, the least like first', () => {
  expect(leastLike([0.95, 0.5, 0.9, 0.7], 0.9)).toEqual([1, 3]);
  expect(leastLike([0.95, 0.5, 0.9, 0.9], 0.9)).toEqual([1]);
  expect(leastLike([0.95, 0.93], 0.9)).toEqual([]);
});
