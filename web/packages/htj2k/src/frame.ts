/** One codestream that arrives, and the images in it. */
import type { Exports } from './codec.ts';

/** Samples in the smallest type that holds them. */
export type Samples = Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array;

/** A decoded image; `samples` are row by row, interleaved by pixel. */
export interface HtImage {
  width: number;
  height: number;
  /** Samples a pixel. */
  components: number;
  /** Bits a sample. */
  precision: number;
  /** Whether samples are two's complement. */
  signed: boolean;
  /** The level that was decoded. */
  level: number;
  /** Whether every byte that the level needs was there. */
  complete: boolean;
  /** Bytes of the codestream that the level needs, where that is known. */
  need: number | undefined;
  samples: Samples;
}

/** What the main header tells of the full image. */
export type HtHeader = Pick<HtImage, 'width' | 'height' | 'components' | 'precision' | 'signed'>;

/** A rectangle, in pixels of the level. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

export class HtFrame {
  readonly #exports: Exports;
  readonly #number: number;
  readonly #onClose: () => void;
  #closed = false;
  /** Bytes of the whole codestream. */
  readonly length: number;
  /** Bytes that have arrived. */
  have = 0;

  /** Frames are made by `Codec.open`. */
  constructor(exports: Exports, number: number, length: number, onClose: () => void) {
    [this.#exports, this.#number, this.#onClose, this.length] = [exports, number, onClose, length];
    exports.frame_begin(number, length);
  }

  /** Adds bytes that have arrived; bytes beyond `length` are left. */
  push(bytes: Uint8Array): void {
    this.#isOpen();
    const taken = bytes.subarray(0, this.length - this.have);
    if (taken.length === 0) return;
    const at = this.#exports.frame_incoming(this.#number, taken.length);
    new Uint8Array(this.#exports.memory.buffer).set(taken, at);
    this.have = this.#exports.frame_push(this.#number);
  }

  /** The finest level whose bytes have all arrived. */
  level(): number | undefined {
    this.#isOpen();
    const level = this.#exports.frame_level(this.#number);
    return level < 0 ? undefined : level;
  }

  /** Size and samples of the full image, as soon as the main header is there (some hundred bytes). */
  header(): HtHeader {
    this.#isOpen();
    if (this.#exports.frame_header(this.#number) !== 0) throw new Error(this.#error());
    return this.#told();
  }

  /**
   * The image at a level, from what has arrived; each goes on from the one before. Its samples are a view: it is valid until the
   * next call into the module. `complete` tells whether all of the level was there.
   */
  decode(level = 0): HtImage {
    this.#isOpen();
    if (this.#exports.frame_decode(this.#number, level) !== 0) throw new Error(this.#error());
    return this.#image(level);
  }

  /** A rectangle of a level. Only the code-blocks that it needs are decoded. */
  decodeRegion(region: Region, level = 0): HtImage {
    this.#isOpen();
    const { x, y, width, height } = region;
    if (this.#exports.frame_decode_region(this.#number, level, x, y, width, height) !== 0) throw new Error(this.#error());
    return this.#image(level);
  }

  /** Lets the memory go to the next frame. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exports.frame_open(this.#number);
    this.#onClose();
  }

  #isOpen(): void {
    if (this.#closed) throw new Error('this frame is closed');
  }

  #told(): HtHeader {
    const exports = this.#exports;
    return {
      width: exports.frame_width(this.#number),
      height: exports.frame_height(this.#number),
      components: exports.frame_components(this.#number),
      precision: exports.frame_precision(this.#number),
      signed: exports.frame_signed(this.#number) === 1,
    };
  }

  #image(level: number): HtImage {
    const exports = this.#exports;
    const told = this.#told();
    const count = told.width * told.height * told.components;
    const samples = view(exports.memory.buffer, exports.frame_samples(this.#number), count, told.precision, told.signed);
    const complete = exports.frame_complete(this.#number) === 1;
    return { ...told, level, complete, need: exports.frame_need(this.#number) || undefined, samples };
  }

  #error(): string {
    const { memory, frame_error, frame_error_length } = this.#exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, frame_error(this.#number), frame_error_length(this.#number)));
  }
}

function view(memory: ArrayBuffer, at: number, count: number, precision: number, signed: boolean): Samples {
  if (precision <= 8) return signed ? new Int8Array(memory, at, count) : new Uint8Array(memory, at, count);
  if (precision <= 16) return signed ? new Int16Array(memory, at, count) : new Uint16Array(memory, at, count);
  return new Int32Array(memory, at, count);
}
