/**
 * How like its final picture a plane across the slices is, where it lies between two lines of samples of a level: what the mean of the two lines
 * leaves out is about as large as their difference. Most slices do not need more than the level; noisy ones do, and can be told by this.
 *
 * Measured with SSIM of the pictures of a CT at level 1 (`bench/record.mjs`): on lines that have samples 0.96, between them 0.87 to 0.92, and no
 * interpolation of two, four or six samples gives more. With LEFT_OUT as it is the estimate is within 0.02 of that.
 */

/** Pixels of a window, and the constant of SSIM for values of 8 bits: what is fainter cannot be seen. */
const WINDOW = 8;
const FAINT = (0.03 * 255) ** 2;
/** What the mean of two lines leaves out, as a part of what they differ by. */
const LEFT_OUT = 0.6;
/** Below it a window counts as black. */
const BLACK = 4;

/** A plane that is so near to a line of pixels, in pixels, is on it. */
const NEAR = 0.01;

/** The values of a window as shades of 0 to 255. */
export interface Window {
  lower: number;
  upper: number;
}

/** Where a plane crosses a slice: the lines of samples on its sides, which begin at `one` and at `other`; and the pixels of the full image that it shows. */
export interface Crossing {
  region: { x: number; y: number; width: number; height: number };
  detail: 'rows' | 'columns';
  one: number;
  other: number;
  /** From one value of a line to the next. */
  step: number;
  length: number;
  window: Window;
}

/** Slices of a volume: directions of columns, rows and slices, three numbers each; a sample stands at every `apart`-th column and row. */
export interface Slices {
  width: number;
  height: number;
  direction: ArrayLike<number>;
  apart: number;
}

/** Where a plane crosses the slices, if it is along their columns or rows and between two lines of samples. */
export function crossing({ width, height, direction, apart }: Slices, plane: { normal: readonly number[]; index: ArrayLike<number>; window: Window }): Crossing | undefined {
  const across = [0, 1].find(axis => Math.abs(plane.normal.reduce((sum, value, n) => sum + value * direction[3 * axis + n]!, 0)) > 0.99);
  if (across === undefined) return undefined;
  const at = Math.round(plane.index[across]!);
  const before = at - (at % apart);
  if (before === at || at < 0 || before + apart >= (across === 0 ? width : height)) return undefined;
  const [line, step, length] = across === 0 ? [1, width, height] : [width, 1, width];
  // A plane between two lines of pixels is the mean of them.
  const [first, last] = [Math.floor(plane.index[across]! + NEAR), Math.ceil(plane.index[across]! - NEAR)];
  const region = across === 0 ? { x: first, y: 0, width: last - first + 1, height } : { x: 0, y: first, width, height: last - first + 1 };
  return { region, detail: across === 0 ? 'columns' : 'rows', one: before * line, other: (before + apart) * line, step, length, window: plane.window };
}

/** From 0 to 1; 1 where nothing is to be seen. */
export function likenessBetween(values: ArrayLike<number>, { one, other, step, length, window: { lower, upper } }: Omit<Crossing, 'region'>): number {
  const scale = 255 / Math.max(1, upper - lower);
  const shade = (at: number) => Math.min(255, Math.max(0, (values[at]! - lower) * scale));
  let [sum, windows] = [0, 0];
  for (let start = 0; start + WINDOW <= length; start += WINDOW) {
    let [mean, square, difference] = [0, 0, 0];
    for (let n = start; n < start + WINDOW; n++) {
      const [a, b] = [shade(one + n * step), shade(other + n * step)];
      const middle = (a + b) / 2;
      mean += middle;
      square += middle * middle;
      difference += ((a - b) / 2) ** 2;
    }
    mean /= WINDOW;
    if (mean <= BLACK) continue;
    const known = 2 * Math.max(0, square / WINDOW - mean * mean) + FAINT;
    sum += known / (known + (LEFT_OUT * difference) / WINDOW);
    windows++;
  }
  return windows === 0 ? 1 : sum / windows;
}

/** The slices that have to become as like as `then` for the mean of all to reach `goal`: as few as that takes, the least like first. */
export function leastLike(likeness: readonly number[], goal: number, then = 1): number[] {
  const order = likeness.map((_, n) => n).sort((a, b) => likeness[a]! - likeness[b]!);
  let sum = likeness.reduce((all, each) => all + each, 0);
  const found: number[] = [];
  for (const slice of order) {
    if (sum >= goal * likeness.length || likeness[slice]! >= then) break;
    sum += then - likeness[slice]!;
    found.push(slice);
  }
  return found;
}
