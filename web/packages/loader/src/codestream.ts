/**
 * Where levels end, from the codestream's own first bytes (T.800 A.4 to A.7): the main header, and in it the lengths of the tile-parts (TLM).
 * In a stream of one tile with one tile-part per resolution, and packets resolution by resolution, tile-part n ends where a level does.
 */
import type { FrameLevels } from './levels.ts';

const SOC = 0xff4f;
const SIZ = 0xff51;
const COD = 0xff52;
const TLM = 0xff55;
const SOT = 0xff90;
/** Progression orders that go resolution by resolution (T.800 table A.16): RLCP and RPCL. */
const RESOLUTION_FIRST = new Set([1, 2]);

/** The levels; `undefined` while too little has arrived, `null` where the stream does not tell them. */
export function levelsOfCodestream(bytes: Uint8Array): FrameLevels | null | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2) return undefined;
  if (view.getUint16(0) !== SOC) return null;
  let [width, height, decompositions, tiles] = [0, 0, -1, 0];
  const parts = new Map<number, number[]>();
  let at = 2;
  for (;;) {
    if (at + 4 > bytes.length) return undefined;
    const marker = view.getUint16(at);
    if (marker === SOT) break;
    const length = view.getUint16(at + 2);
    if (marker < 0xff00 || length < 2) return null;
    const next = at + 2 + length;
    if (next > bytes.length) return undefined;
    if (marker === SIZ) {
      if (length < 38) return null;
      const value = (n: number) => view.getUint32(at + 6 + 4 * n);
      [width, height] = [value(0) - value(2), value(1) - value(3)];
      tiles = Math.ceil((value(0) - value(6)) / value(4)) * Math.ceil((value(1) - value(7)) / value(5));
    } else if (marker === COD) {
      if (length < 12 || !RESOLUTION_FIRST.has(view.getUint8(at + 5))) return null;
      decompositions = view.getUint8(at + 9);
    } else if (marker === TLM) {
      const read = tilePartLengths(view, at, length);
      if (!read) return null;
      parts.set(read.index, read.lengths);
    }
    at = next;
  }
  const lengths = [...parts].sort(([a], [b]) => a - b).flatMap(([, some]) => some);
  if (tiles !== 1 || lengths.length !== decompositions + 1 || !(width > 0 && height > 0)) return null;
  let end = at;
  const ends = lengths.map(length => (end += length));
  // The last one ends with the marker EOC.
  ends[ends.length - 1]! += 2;
  return { width, height, ends };
}

/** A TLM segment: the lengths of tile-parts in order (T.800 A.7.1). */
function tilePartLengths(view: DataView, at: number, length: number): { index: number; lengths: number[] } | undefined {
  if (length < 4) return undefined;
  const [index, form] = [view.getUint8(at + 4), view.getUint8(at + 5)];
  const ofIndex = (form >> 4) & 3;
  const ofLength = form & 0x40 ? 4 : 2;
  const entry = ofIndex + ofLength;
  if (ofIndex === 3 || (length - 4) % entry !== 0) return undefined;
  const lengths: number[] = [];
  for (let from = at + 6; from < at + 2 + length; from += entry) {
    lengths.push(ofLength === 4 ? view.getUint32(from + ofIndex) : view.getUint16(from + ofIndex));
  }
  return { index, lengths };
}
