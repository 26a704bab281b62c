/** A decoded level as an image of the screen. */
import type { HtImage } from '@firstlight/htj2k';
import { firstTone, grey, type Picture, type Tone } from './viewer.ts';

const OPAQUE = 0xff000000;

/** Red, green, blue and opacity of each pixel, by the picture's first window. */
export function paint(picture: Picture, image: HtImage): Uint8ClampedArray<ArrayBuffer> {
  const { width, height, components, samples } = image;
  const words = new Uint32Array(width * height);
  if (components >= 3) {
    const shift = Math.max(0, picture.bitsStored - 8);
    for (let n = 0, at = 0; n < words.length; n++, at += components) {
      words[n] = (OPAQUE | ((samples[at + 2]! >> shift) << 16) | ((samples[at + 1]! >> shift) << 8) | (samples[at]! >> shift)) >>> 0;
    }
  } else {
    const tone = firstTone(picture, image);
    // By the bits of a sample; no word of an opaque pixel is 0.
    const known = new Uint32Array(0x10000);
    for (let n = 0; n < words.length; n++) {
      const value = samples[n]!;
      words[n] = known[value & 0xffff] ||= greyWord(picture, tone, value);
    }
  }
  return new Uint8ClampedArray(words.buffer);
}

function greyWord(picture: Picture, tone: Tone, stored: number): number {
  const shown = grey(stored * picture.slope + picture.intercept, tone, picture.windowFunction);
  const level = Math.round((picture.photometric === 'MONOCHROME1' ? 1 - shown : shown) * 255);
  return (OPAQUE | (level << 16) | (level << 8) | level) >>> 0;
}
