/** Pictures: values of a decoded level, made in the worker, so that a page that draws has nothing to compute. */
import type { HtImage } from '@firstlight/htj2k';
import { expandInto } from './expand.ts';

export type PixelArray = Uint8Array | Int16Array | Uint16Array | Float32Array;
export type ArrayName = 'Uint8Array' | 'Int16Array' | 'Uint16Array' | 'Float32Array';

/** How values are made of samples. */
export interface Shape {
  /** Rescale of stored values (PS3.3 C.11.1.1). */
  slope: number;
  intercept: number;
  /** Bits stored. */
  bits: number;
  /** The array; without it the smallest that holds whatever these samples can mean. */
  type?: ArrayName | undefined;
  /** Columns and rows of the full image, if levels are to be spread over all of it. */
  full?: { width: number; height: number } | undefined;
}

export interface Picture {
  level: number;
  width: number;
  height: number;
  /** Values a pixel. */
  components: number;
  values: PixelArray;
  /** The least and the greatest of the level's own values. */
  min: number;
  max: number;
  /** Bytes of memory. */
  bytes: number;
  /** By which rescale and bits the values were made. */
  made?: Pick<Shape, 'slope' | 'intercept' | 'bits'>;
}

export const ARRAYS = { Uint8Array, Int16Array, Uint16Array, Float32Array };

export function pictureOf(image: HtImage, shape: Shape): Picture {
  const { level, components } = image;
  const taken = valuesOf(image, shape);
  const { min, max } = extremes(taken);
  const { full, slope, intercept, bits } = shape;
  const made = { slope, intercept, bits };
  if (!full || level === 0 || components > 1) return { level, width: image.width, height: image.height, components, values: taken, min, max, bytes: taken.byteLength, made };
  const values = new ARRAYS[taken.constructor.name as ArrayName](full.width * full.height);
  expandInto(values, full.width, full.height, taken, image.width, level);
  return { level, ...full, components, values, min, max, bytes: values.byteLength, made };
}

/** The values of the samples. They are the samples' own array where nothing is to be done. */
export function valuesOf(image: HtImage, { slope, intercept, bits: stored, type }: Shape): PixelArray {
  const { samples, signed } = image;
  const plain = slope === 1 && intercept === 0;
  // Signed values of fewer bits than their field may come with the sign in the lower one.
  const shift = signed && stored < image.precision ? 32 - stored : 0;
  const own = samples.constructor.name;
  if (plain && shift === 0 && own in ARRAYS && (type ?? own) === own) return samples as PixelArray;
  const bits = Math.min(stored, image.precision);
  const [low, high] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  const ends = [low * slope + intercept, high * slope + intercept].sort((a, b) => a - b) as [number, number];
  const values = new ARRAYS[type ?? smallest(ends, Number.isInteger(slope) && Number.isInteger(intercept))](samples.length);
  if (plain && shift === 0) values.set(samples);
  else if (shift === 0) for (let i = 0; i < samples.length; i++) values[i] = samples[i]! * slope + intercept;
  else for (let i = 0; i < samples.length; i++) values[i] = ((samples[i]! << shift) >> shift) * slope + intercept;
  return values;
}

function smallest([low, high]: readonly [number, number], integer: boolean): ArrayName {
  if (!integer) return 'Float32Array';
  if (low >= 0) return high <= 0xff ? 'Uint8Array' : high <= 0xffff ? 'Uint16Array' : 'Float32Array';
  return low >= -0x8000 && high <= 0x7fff ? 'Int16Array' : 'Float32Array';
}

function extremes(values: PixelArray): { min: number; max: number } {
  let [min, max] = [values[0] ?? 0, values[0] ?? 0];
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return { min, max };
}
