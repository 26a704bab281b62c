/** From stored values to greys and colours (PS3.3 C.11.2): one table for all values that a sample can have, indexed by its bits. */
import type { Samples } from '@firstlight/htj2k';
import type { Picture } from '../dicom/picture.ts';
import type { Texels } from './texels.ts';

export interface Tone {
  centre: number;
  width: number;
  inverted: boolean;
  /** By the image's own table instead of a window. */
  lut?: boolean;
}

/** The window that a picture names first, else its table, else the range of what is there. */
export function firstTone(picture: Picture, pixels: { samples: Samples }): Tone {
  const named = picture.windows[0];
  if (named) return { centre: named.centre, width: named.width, inverted: false };
  return { ...rangeTone(picture, pixels), inverted: false, ...(picture.lut && { lut: true }) };
}

/** A window over the values that are there, padding left out. */
export function rangeTone(picture: Picture, { samples }: { samples: Samples }): { centre: number; width: number } {
  let [low, high] = [Infinity, -Infinity];
  for (const value of samples) {
    if (picture.padding && value >= picture.padding[0] && value <= picture.padding[1]) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = [0, 1];
  const [a, b] = [low, high].map(value => value * picture.slope + picture.intercept) as [number, number];
  const width = Math.max(Math.abs(b - a), 1e-9);
  // LINEAR maps centre - 0.5 +- (width - 1) / 2: the whole range between black and white (C.11.2.1.2.1).
  return picture.windowFunction === 'LINEAR' && width >= 1 ? { centre: (a + b) / 2 + 0.5, width: width + 1 } : { centre: (a + b) / 2, width };
}

/** The grey of a value after rescaling, 0 to 1 (C.11.2.1.2 and C.11.2.1.3). */
export function grey(value: number, { centre, width }: { centre: number; width: number }, how: string): number {
  if (how === 'SIGMOID') return 1 / (1 + Math.exp((-4 * (value - centre)) / width));
  if (how === 'LINEAR' && width >= 1) {
    const [c, w] = [centre - 0.5, width - 1];
    return value <= c - w / 2 ? 0 : value > c + w / 2 ? 1 : (value - c) / w + 0.5;
  }
  return value <= centre - width / 2 ? 0 : value > centre + width / 2 ? 1 : (value - centre) / width + 0.5;
}

/** What the table needs to know of the samples. */
export type Form = Pick<Texels, 'signed' | 'scale' | 'offset'> & { bits: { BYTES_PER_ELEMENT: number } };

/** Colours by the bits of a sample, as words of a canvas (red in the lowest byte). */
export function colourTable(picture: Picture, tone: Tone, form: Form): Uint32Array {
  const count = 2 ** (8 * form.bits.BYTES_PER_ELEMENT);
  const table = new Uint32Array(count);
  const invert = tone.inverted !== (picture.photometric === 'MONOCHROME1');
  for (let bits = 0; bits < count; bits++) {
    const stored = (form.signed && bits >= count / 2 ? bits - count : bits) * form.scale + form.offset;
    table[bits] = picture.palette ? looked(picture.palette, stored) : greyWord(picture, tone, stored, invert);
  }
  return table;
}

function greyWord(picture: Picture, tone: Tone, stored: number, invert: boolean): number {
  if (picture.padding && stored >= picture.padding[0] && stored <= picture.padding[1]) return BLACK;
  const value = stored * picture.slope + picture.intercept;
  const shown = tone.lut && picture.lut ? picture.lut.greys[Math.min(Math.max(0, Math.round(value) - picture.lut.first), picture.lut.greys.length - 1)]! : grey(value, tone, picture.windowFunction);
  const level = Math.round((invert ? 1 - shown : shown) * 255);
  return (BLACK | (level << 16) | (level << 8) | level) >>> 0;
}

const BLACK = 0xff000000;

function looked({ first, rgb }: NonNullable<Picture['palette']>, stored: number): number {
  const at = 3 * Math.min(Math.max(0, Math.round(stored) - first), rgb.length / 3 - 1);
  return (BLACK | (rgb[at + 2]! << 16) | (rgb[at + 1]! << 8) | rgb[at]!) >>> 0;
}
