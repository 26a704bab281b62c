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

/** Beginning and end of some bytes of a codestream; the end is the first byte after them. */
export type ByteRange = [start: number, end: number];

/**
 * All that the samples depend on; or a sketch of rows (columns) that lie between those of the level below: only what is new across them, so that they
 * become about as good as the others at that level, for a fraction of the bytes.
 */
export type Detail = (typeof DETAILS)[number];
const DETAILS = ['all', 'rows', 'columns'] as const;

export interface RegionOptions {
  level?: number;
  detail?: Detail;
}

/**
 * The bytes that a rectangle takes beside those that are there: `ranges`, none if it can be decoded; or `first`, bytes with a header that
 * tells the others, to be put before asking again. `first` begins with the first byte missing of the header, and its end is a guess that is hardly ever too low.
 */
export type RegionRanges = { ranges: ByteRange[]; first?: never } | { first: ByteRange; ranges?: never };

export class HtFrame {
  readonly #exports: Exports;
  readonly #number: number;
  readonly #onClose: () => void;
  #closed = false;
  /** Bytes of the whole codestream. */
  readonly length: number;
  /** Bytes that have arrived, from the first one on without a gap. */
  have = 0;
  #pushed = 0;

  /** Frames are made by `Codec.open`. */
  constructor(exports: Exports, number: number, length: number, onClose: () => void) {
    [this.#exports, this.#number, this.#onClose, this.length] = [exports, number, onClose, length];
    exports.frame_begin(number, length);
  }

  /** Adds bytes that have arrived, each time the next ones; bytes beyond `length` are left. */
  push(bytes: Uint8Array): void {
    this.#isOpen();
    const taken = bytes.subarray(0, this.length - this.#pushed);
    if (taken.length === 0) return;
    this.#write(taken);
    this.#pushed += taken.length;
    this.have = this.#exports.frame_push(this.#number);
  }

  /** Adds bytes from elsewhere in the codestream, such as `ranges` tells. Where bytes are there already, these stay. */
  put(offset: number, bytes: Uint8Array): void {
    this.#isOpen();
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + bytes.length > this.length) throw new RangeError('bytes that are not of the codestream');
    this.#write(bytes);
    if (this.#exports.frame_put(this.#number, offset) !== 0) throw new Error(this.#error());
    this.have = this.#exports.frame_have(this.#number);
  }

  /**
   * The bytes that a rectangle of a level takes beside those that are there; ranges with no more than `gap` bytes between them are joined. Undefined where
   * that cannot be told (several tiles, layers or precincts, or levels that do not follow one another): then the level is to be had whole.
   */
  ranges(region: Region, { level = 0, detail = 'all', gap = 1024 }: RegionOptions & { gap?: number } = {}): RegionRanges | undefined {
    this.#isOpen();
    const exports = this.#exports;
    const { x, y, width, height } = region;
    const kind = exports.frame_ranges(this.#number, level, x, y, width, height, DETAILS.indexOf(detail), gap);
    if (kind === 1) throw new Error(this.#error());
    if (kind === 3) return undefined;
    const list = new Float64Array(exports.memory.buffer, exports.frame_ranges_at(this.#number), exports.frame_ranges_count(this.#number));
    const ranges = Array.from({ length: list.length / 2 }, (_, n): ByteRange => [list[2 * n]!, list[2 * n + 1]!]);
    return kind === 2 ? { first: ranges[0]! } : { ranges };
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

  /** A rectangle of a level, from all bytes that are there if they are enough, else from the first `have`. Only the code-blocks that it needs are decoded. */
  decodeRegion(region: Region, { level = 0, detail = 'all' }: RegionOptions = {}): HtImage {
    this.#isOpen();
    const { x, y, width, height } = region;
    if (this.#exports.frame_decode_region(this.#number, level, x, y, width, height, DETAILS.indexOf(detail)) !== 0) throw new Error(this.#error());
    return this.#image(level);
  }

  /** Lets the memory go to the next frame. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exports.frame_open(this.#number);
    this.#onClose();
  }

  #write(bytes: Uint8Array): void {
    const at = this.#exports.frame_incoming(this.#number, bytes.length);
    new Uint8Array(this.#exports.memory.buffer).set(bytes, at);
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
