/** A decoded image as a painter wants it: no finer than the screen, its samples as bits that look up a colour. */
import type { HtImage } from '@firstlight/htj2k';
import type { Picture } from '../dicom/picture.ts';

export type Image = Pick<HtImage, 'width' | 'height' | 'components' | 'level' | 'samples'>;

export interface Texels {
  width: number;
  height: number;
  /** 1, or 3 and more of which three are painted. */
  components: number;
  bits: Uint8Array | Uint16Array;
  /** Whether the bits are two's complement. */
  signed: boolean;
  /** Stored value = bits as a number x `scale` + `offset`: other than 1 and 0 for samples of more than 16 bits. */
  scale: number;
  offset: number;
  level: number;
  /** Halvings since the image of that level. */
  halvings: number;
}

/** Halvings after which a texel is not yet larger than a pixel of the screen. */
export const halvings = (texelsAPixel: number): number => Math.max(0, Math.floor(Math.log2(Math.max(1, texelsAPixel))));

export function texelsOf(picture: Picture, image: Image, halved: number): Texels {
  const told = { components: image.components, level: image.level, halvings: halved };
  const { samples, scale, offset } = narrow(image.samples);
  const signed = samples instanceof Int8Array || samples instanceof Int16Array;
  const small = halved === 0 ? { width: image.width, height: image.height, samples } : reduce(picture, { ...image, samples }, 2 ** halved);
  const { buffer, byteOffset, length } = small.samples;
  const bits = samples.BYTES_PER_ELEMENT === 1 ? new Uint8Array(buffer, byteOffset, length) : new Uint16Array(buffer, byteOffset, length);
  return { ...told, width: small.width, height: small.height, bits, signed, scale, offset };
}

type Narrow = Uint8Array | Int8Array | Uint16Array | Int16Array;

/** Samples of more than 16 bits as steps of their range: 65536 of them are more than any screen shows. */
function narrow(samples: HtImage['samples']): { samples: Narrow; scale: number; offset: number } {
  if (samples.BYTES_PER_ELEMENT < 4) return { samples: samples as Narrow, scale: 1, offset: 0 };
  let [low, high] = [Infinity, -Infinity];
  for (const value of samples) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const scale = Math.max(1, high - low) / 65535;
  return { samples: Uint16Array.from(samples as Int32Array, value => Math.round((value - low) / scale)), scale, offset: low };
}

/** Means of squares of `by` x `by` samples; padding is left out of them, and what is looked up is picked instead. */
function reduce(picture: Picture, image: { width: number; height: number; components: number; samples: Narrow }, by: number): { width: number; height: number; samples: Narrow } {
  const { samples, components } = image;
  const [width, height] = [Math.ceil(image.width / by), Math.ceil(image.height / by)];
  const out = new (samples.constructor as new (length: number) => Narrow)(width * height * components);
  const [low, high] = picture.padding ?? [1, 0];
  const half = by >> 1;
  for (let y = 0, to = 0; y < height; y++) {
    const [top, bottom] = [y * by, Math.min(image.height, (y + 1) * by)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [x * by, Math.min(image.width, (x + 1) * by)];
      for (let c = 0; c < components; c++, to++) {
        if (picture.lookedUp) {
          out[to] = samples[(Math.min(image.height - 1, top + half) * image.width + Math.min(image.width - 1, left + half)) * components + c]!;
          continue;
        }
        let [sum, count] = [0, 0];
        for (let row = top; row < bottom; row++) {
          for (let at = (row * image.width + left) * components + c, n = left; n < right; n++, at += components) {
            const value = samples[at]!;
            if (value >= low && value <= high) continue;
            sum += value;
            count++;
          }
        }
        out[to] = count === 0 ? samples[(top * image.width + left) * components + c]! : Math.round(sum / count);
      }
    }
  }
  return { width, height, samples: out };
}
