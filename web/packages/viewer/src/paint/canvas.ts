/** Painting without a graphics processor: what the shader of webgl.ts does, in a loop. */
import type { Axis, Layer, Painter } from './layer.ts';

export class CanvasPainter implements Painter {
  readonly kind = '2d';
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #data: ImageData | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false })!;
  }

  get bytes(): number {
    return this.canvas.width * this.canvas.height * 4 + (this.#data?.data.byteLength ?? 0);
  }

  paint(layer: Layer | undefined): void {
    const { width, height } = this.canvas;
    this.#context.fillStyle = '#000';
    this.#context.fillRect(0, 0, width, height);
    if (!layer || layer.right <= layer.left || layer.bottom <= layer.top) return;
    const [wide, high] = [layer.right - layer.left, layer.bottom - layer.top];
    if (this.#data?.width !== wide || this.#data.height !== high) this.#data = this.#context.createImageData(wide, high);
    fill(layer, wide, high, this.#data.data);
    this.#context.putImageData(this.#data, layer.left, layer.top);
  }

  pixels(): Uint8ClampedArray {
    return this.#context.getImageData(0, 0, this.canvas.width, this.canvas.height).data;
  }

  close(): void {
    this.canvas.width = this.canvas.height = 0;
    this.#data = undefined;
  }
}

/** The two texels around each device pixel, and how much of the second one. */
interface Steps {
  first: Int32Array;
  second: Int32Array;
  share: Float32Array;
}

function steps({ at, step }: Axis, from: number, count: number, texels: number, smooth: boolean): Steps {
  const out = { first: new Int32Array(count), second: new Int32Array(count), share: new Float32Array(count) };
  const inside = (n: number) => Math.min(Math.max(0, n), texels - 1);
  for (let n = 0; n < count; n++) {
    const texel = at + step * (from + n);
    const low = smooth ? Math.floor(texel) : Math.floor(texel + 0.5);
    out.first[n] = inside(low);
    out.second[n] = smooth ? inside(low + 1) : out.first[n]!;
    out.share[n] = smooth ? texel - low : 0;
  }
  return out;
}

/** Writes the pixels of a layer's rectangle; exported for its test. Each row is mixed from two rows of texels first, then across. */
export function fill(layer: Layer, wide: number, high: number, out: Uint8ClampedArray): void {
  const { texels, smooth, grey } = layer;
  const across = steps(layer.across, layer.left, wide, texels.width, smooth);
  const down = steps(layer.down, layer.top, high, texels.height, smooth);
  const words = new Uint32Array(out.buffer, out.byteOffset, wide * high).fill(0xff000000);
  const mixed = new Float32Array(texels.width);
  for (const channel of grey ? [0] : [0, 1, 2]) {
    const rows = new Rows(layer, channel);
    /** A level in all three channels, or in its own. */
    const place = grey ? 0x010101 : 1 << (8 * channel);
    for (let y = 0, to = 0; y < high; y++) {
      const [above, below, lower] = [rows.at(down.first[y]!), rows.at(down.second[y]!), down.share[y]!];
      for (let n = 0; n < mixed.length; n++) mixed[n] = above[n]! + (below[n]! - above[n]!) * lower;
      for (let x = 0; x < wide; x++, to++) {
        const left = mixed[across.first[x]!]!;
        words[to]! |= ((left + (mixed[across.second[x]!]! - left) * across.share[x]! + 0.5) | 0) * place;
      }
    }
  }
}

/** Rows of texels as levels of a channel; the last two are kept, for the next row of pixels mostly lies between the same ones. */
class Rows {
  readonly #layer: Layer;
  readonly #channel: number;
  readonly #kept: { row: number; levels: Uint8Array }[];
  #next = 0;

  constructor(layer: Layer, channel: number) {
    [this.#layer, this.#channel] = [layer, channel];
    this.#kept = [0, 1].map(() => ({ row: -1, levels: new Uint8Array(layer.texels.width) }));
  }

  at(row: number): Uint8Array {
    const [one, other] = this.#kept as [{ row: number; levels: Uint8Array }, { row: number; levels: Uint8Array }];
    if (one.row === row) return this.#used(0);
    if (other.row === row) return this.#used(1);
    const kept = this.#kept[this.#next]!;
    kept.row = row;
    this.#read(row, kept.levels);
    return this.#used(this.#next);
  }

  /** The other one goes next. */
  #used(n: number): Uint8Array {
    this.#next = 1 - n;
    return this.#kept[n]!.levels;
  }

  #read(row: number, levels: Uint8Array): void {
    const { texels, colours, shift } = this.#layer;
    const { bits, components, width } = texels;
    let at = row * width * components;
    if (colours) for (let n = 0; n < width; n++, at += components) levels[n] = colours[bits[at]!]! >>> (8 * this.#channel);
    else for (let n = 0; n < width; n++, at += components) levels[n] = bits[at + this.#channel]! >> shift;
  }
}
