/**
 * What today's client makes of a prefix: the resolution level it decodes, by the share of the bytes that has come.
 *
 * Levels count down from the full image: level 0 is full size, level n is 1/2^n. The shares are those of Cornerstone3D
 * 5.6 (`decodeLevelFromComplete`); its codec throws when the level asked for is not in the prefix at all.
 */

/** The coarsest level that the client ever asks for. */
export const COARSEST_LEVEL = 3;

/** The least share of the body, exclusive, at which the client asks for each level; index = level. */
const ABOVE = [1 / 4 + 0.02, 1 / 16 + 0.02, 1 / 64 + 0.02, 0] as const;

/** The level that the client asks its codec for when `received` of `total` bytes of the body are there. */
export function levelAskedFor(received: number, total: number): number {
  const share = received / total;
  return share > ABOVE[0] ? 0 : share > ABOVE[1] ? 1 : share > ABOVE[2] ? 2 : COARSEST_LEVEL;
}

/** The fewest bytes of a body of `total` bytes at which the client asks for `level` (or a finer one). */
export function bytesToAskFor(level: number, total: number): number {
  const above = ABOVE[level];
  if (above === undefined) throw new RangeError(`the client never asks for level ${level}`);
  return above === 0 ? 1 : Math.floor(above * total) + 1;
}
