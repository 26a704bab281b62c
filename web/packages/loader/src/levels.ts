/**
 * Resolution levels of a frame, and which of them a view needs.
 *
 * Level 0 is the full image, level n is 1/2^n of it on each side. In a prefix-safe codestream the coarsest comes first, so each level is a
 * number of bytes from the start.
 */

/** Where the levels of one frame end. */
export interface FrameLevels {
  width: number;
  height: number;
  /** Bytes of the codestream at which each level is whole, coarsest first; the last is the whole frame. */
  ends: readonly number[];
}

/** The coarsest level there is. */
export const coarsest = (levels: FrameLevels): number => levels.ends.length - 1;

/** Bytes of the codestream that a level needs. */
export function endOf(levels: FrameLevels, level: number): number {
  const end = levels.ends[levels.ends.length - 1 - level];
  if (end === undefined) throw new RangeError(`level ${level} of a frame that has ${levels.ends.length}`);
  return end;
}

/** The finest level that is whole in so many bytes. */
export function levelIn(levels: FrameLevels, bytes: number): number | undefined {
  let found: number | undefined;
  levels.ends.forEach((end, n) => {
    if (bytes >= end) found = levels.ends.length - 1 - n;
  });
  return found;
}

/** Columns or rows of a level (T.800 B-15). */
export const sideAt = (side: number, level: number): number => Math.ceil(side / 2 ** level);

/** The pixels of the screen that the whole image covers, device pixels. */
export interface Shown {
  width: number;
  height: number;
}

/** The coarsest level that has a pixel for each device pixel: finer ones cannot be seen. */
export function fittingLevel(levels: FrameLevels, shown: Shown): number {
  return coarsestWith(levels, shown, 1);
}

/** The coarsest level of use: at least a quarter of the device pixels have a pixel of their own. */
export function usefulLevel(levels: FrameLevels, shown: Shown): number {
  return coarsestWith(levels, shown, 1 / 4);
}

function coarsestWith(levels: FrameLevels, { width, height }: Shown, share: number): number {
  for (let level = coarsest(levels); level > 0; level--) {
    if (sideAt(levels.width, level) * sideAt(levels.height, level) >= share * width * height) return level;
  }
  return 0;
}
