/**
 * What is to be painted: texels, their colours, and how they lie on the device pixels. Both painters show the same: each pixel is the mean of the
 * colours of the four texels around it, weighted by nearness (or the nearest one's, where texels are large enough to be seen).
 */
import type { Picture } from '../dicom/picture.ts';
import { rectangle, type Size, type View } from '../view/geometry.ts';
import { halvings, texelsOf, type Image, type Texels } from './texels.ts';
import { colourTable, type Tone } from './tone.ts';

/** Texel at a device pixel n: `at + step * n`, whole numbers being the middles of texels. */
export interface Axis {
  at: number;
  step: number;
}

export interface Layer {
  texels: Texels;
  /** By the bits of a sample; without it, samples are red, green and blue. */
  colours: Uint32Array | undefined;
  /** Whether all colours are greys. */
  grey: boolean;
  /** Bits of a colour sample beyond eight. */
  shift: number;
  across: Axis;
  down: Axis;
  /** Device pixels that the picture covers. */
  left: number;
  top: number;
  right: number;
  bottom: number;
  smooth: boolean;
}

export interface Painter {
  readonly kind: 'webgl2' | '2d';
  readonly canvas: HTMLCanvasElement;
  /** Paints the layer, or nothing but black. */
  paint(layer: Layer | undefined): void;
  /** Red, green, blue and opacity of all device pixels, from above; valid in the task of the last `paint`. */
  pixels(): Uint8ClampedArray;
  /** Bytes of textures and canvas. */
  readonly bytes: number;
  close(): void;
}

/** From this many device pixels a texel, texels are shown as what they are. */
const VISIBLE = 4;
/** Of a texel: keeps ties between two texels from being decided by rounding. */
const BIAS = 1 / 1024;

/** Makes layers, and keeps what need not be made again. */
export class LayerMaker {
  #image: Image | undefined;
  #texels: Texels | undefined;
  #colours: { key: string; table: Uint32Array } | undefined;

  make(picture: Picture, image: Image, tone: Tone, place: Size, view: View): Layer {
    const lies = rectangle(picture, place, view);
    const scale = 2 ** image.level;
    const halved = halvings(picture.columns / scale / lies.width);
    if (image !== this.#image || this.#texels?.halvings !== halved) {
      this.#texels = texelsOf(picture, image, halved);
      this.#image = image;
    }
    const texels = this.#texels!;
    const smooth = isSmooth(picture, image.level, lies.width);
    return {
      texels,
      colours: texels.components >= 3 ? undefined : this.#table(picture, tone, texels),
      grey: texels.components < 3 && !picture.palette,
      shift: Math.max(0, picture.bitsStored - 8),
      across: axis(lies.x, picture.columns / lies.width, scale, 2 ** halved, smooth),
      down: axis(lies.y, picture.rows / lies.height, scale, 2 ** halved, smooth),
      left: Math.max(0, Math.round(lies.x)),
      top: Math.max(0, Math.round(lies.y)),
      right: Math.min(Math.ceil(place.width), Math.round(lies.x + lies.width)),
      bottom: Math.min(Math.ceil(place.height), Math.round(lies.y + lies.height)),
      smooth,
    };
  }

  #table(picture: Picture, tone: Tone, texels: Texels): Uint32Array {
    const values = [picture.slope, picture.intercept, picture.padding, picture.windowFunction, picture.photometric];
    // Slices of a series mostly share all of this, unless they have tables of their own.
    const own = picture.palette || picture.lut ? [picture.instance, picture.frame] : [];
    const key = [...own, ...values, tone.centre, tone.width, tone.inverted, tone.lut, texels.bits.BYTES_PER_ELEMENT, texels.signed, texels.scale, texels.offset].join();
    if (this.#colours?.key !== key) this.#colours = { key, table: colourTable(picture, tone, texels) };
    return this.#colours.table;
  }
}

const isSmooth = (picture: Picture, level: number, width: number): boolean => width / picture.columns < VISIBLE || level > 0;

/** How many device pixels a texel of this level covers, as a whole number: a canvas that is so much coarser still has a pixel for each texel. */
export function pixelsEach(picture: Picture, level: number, place: Size, view: View): number {
  const { width, height } = rectangle(picture, place, view);
  if (!isSmooth(picture, level, width)) return 1;
  return Math.max(1, Math.floor(Math.min(width / picture.columns, height / picture.rows) * 2 ** level));
}

/**
 * A sample of level n stands where the full image has its sample 2^n k (T.800 F.3: the low-pass samples are the even ones), a halved one in the
 * middle of those that it is the mean of.
 */
function axis(start: number, pixelsEach: number, scale: number, halved: number, smooth: boolean): Axis {
  const texel = (n: number) => ((((n + 0.5 - start) * pixelsEach - 0.5) / scale + 0.5) / halved - 0.5);
  const at = texel(0);
  return { at: at + (smooth ? 0 : BIAS), step: texel(1) - at };
}
