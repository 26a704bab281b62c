/**
 * Where to cut a frame so that the client decodes whole resolution levels and nothing less.
 *
 * The client chooses the level by the share of the bytes that has come (client-level.ts), the server knows where each
 * level ends (levels.ts). A cut is good when the level asked for at that share is all there. Where a level ends before
 * its share is reached, the cut moves up to the share; where it ends after the client already asks for the next finer
 * one, that level is left out.
 */
import { bytesToAskFor, COARSEST_LEVEL, levelAskedFor } from './client-level.ts';
import type { FrameLevels } from './levels.ts';

/** A prefix of the multipart body that decodes to a level. */
export interface Cut {
  /** Bytes of the body. */
  bytes: number;
  /** The level that is whole in it, and that the client will ask for. */
  level: number;
}

/** HTJ2K RPCL lossless and HTJ2K: the syntaxes of which the client decodes a prefix. */
const PREFIX_DECODABLE = new Set(['1.2.840.10008.1.2.4.202', '1.2.840.10008.1.2.4.203']);

/** What may follow the codestream in the body: line end, `--boundary--`, line end. A boundary has at most 70 characters (RFC 2046). */
const TRAILER = 80;

/** The good cuts of a frame, coarsest first; none when it has to be loaded whole. */
export function goodCuts(frame: FrameLevels): Cut[] {
  const levels = frame.ends.length;
  if (levels < 2 || !PREFIX_DECODABLE.has(frame.transferSyntax)) return [];
  const least = frame.bodyOffset + frame.length;
  const most = least + TRAILER;
  const cuts: Cut[] = [];
  for (let level = Math.min(COARSEST_LEVEL, levels - 1); level > 0; level--) {
    const there = frame.bodyOffset + frame.ends[levels - 1 - level]!;
    const bytes = Math.max(there, bytesToAskFor(level, most));
    const certain = levelAskedFor(bytes, least) === level && levelAskedFor(bytes, most) === level;
    if (certain && bytes > (cuts.at(-1)?.bytes ?? 0)) cuts.push({ bytes, level });
  }
  return cuts;
}

/** The finest cut of not more than `share` of the frame: one quick look that costs little. */
export function quickCut(frame: FrameLevels, share: number): Cut | null {
  return goodCuts(frame).findLast(cut => cut.bytes <= share * frame.length) ?? null;
}
