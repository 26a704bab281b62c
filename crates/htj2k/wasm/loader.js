// Decodes HTJ2K codestreams with htj2k.wasm: whole, to a level, or from what has arrived.
//
//   const codec = await load(fetch('htj2k.wasm'));
//   const frame = codec.frame();
//   frame.begin(length);                       // bytes of the whole codestream
//   frame.push(bytes);                         // as they arrive
//   const level = frame.level();               // the finest one that is all there
//   const image = frame.decode(level);         // { width, height, components, precision, signed, complete, need, samples }
//   frame.close();

/** Instantiates the module; takes its bytes, a Response, or a promise of one. */
export async function load(source) {
  const given = await source;
  const { instance } =
    typeof Response !== 'undefined' && given instanceof Response
      ? await WebAssembly.instantiateStreaming(given)
      : await WebAssembly.instantiate(given);
  return new Codec(instance.exports);
}

class Codec {
  constructor(exports) {
    this.exports = exports;
    this.free = [];
    this.count = 0;
  }

  /** A frame: it keeps its memory from one codestream to the next. */
  frame() {
    const number = this.free.pop() ?? this.count++;
    this.exports.frame_open(number);
    return new Frame(this, number);
  }
}

class Frame {
  constructor(codec, number) {
    this.codec = codec;
    this.number = number;
    this.have = 0;
  }

  /** Begins a codestream of so many bytes. */
  begin(length) {
    this.codec.exports.frame_begin(this.number, length);
  }

  /** Adds bytes that have arrived. */
  push(bytes) {
    const { memory, frame_incoming, frame_push } = this.codec.exports;
    const at = frame_incoming(this.number, bytes.length);
    new Uint8Array(memory.buffer).set(bytes, at);
    this.have = frame_push(this.number);
  }

  /** The finest level whose bytes have all arrived. */
  level() {
    const level = this.codec.exports.frame_level(this.number);
    return level < 0 ? undefined : level;
  }

  /** The image at a level, 0 for the full size. Its samples are a view: valid until the module is called again. */
  decode(level = 0) {
    if (this.codec.exports.frame_decode(this.number, level) !== 0) throw new Error(this.error());
    return this.image();
  }

  image() {
    const { exports } = this.codec;
    const image = {
      width: exports.frame_width(this.number),
      height: exports.frame_height(this.number),
      components: exports.frame_components(this.number),
      precision: exports.frame_precision(this.number),
      signed: exports.frame_signed(this.number) === 1,
      complete: exports.frame_complete(this.number) === 1,
      need: exports.frame_need(this.number) || undefined,
    };
    const count = image.width * image.height * image.components;
    const Samples = arrayOf(image);
    image.samples = new Samples(exports.memory.buffer, exports.frame_samples(this.number), count);
    return image;
  }

  /** Adds bytes from elsewhere in the codestream, which `ranges` has told. */
  put(offset, bytes) {
    const { memory, frame_incoming, frame_put, frame_have } = this.codec.exports;
    const at = frame_incoming(this.number, bytes.length);
    new Uint8Array(memory.buffer).set(bytes, at);
    if (frame_put(this.number, offset) !== 0) throw new Error(this.error());
    this.have = frame_have(this.number);
  }

  /** The bytes that a rectangle of a level takes yet: { ranges }, or { first } to be had before that is known, or undefined if it never is. */
  ranges({ x, y, width, height }, level = 0, gap = 1024) {
    const { exports } = this.codec;
    const kind = exports.frame_ranges(this.number, level, x, y, width, height, 0, gap);
    if (kind === 1) throw new Error(this.error());
    if (kind === 3) return undefined;
    const list = new Float64Array(exports.memory.buffer, exports.frame_ranges_at(this.number), exports.frame_ranges_count(this.number));
    const ranges = Array.from({ length: list.length / 2 }, (_, n) => [list[2 * n], list[2 * n + 1]]);
    return kind === 2 ? { first: ranges[0] } : { ranges };
  }

  /** A rectangle of a level, from all bytes that are there if they are enough. */
  decodeRegion({ x, y, width, height }, level = 0) {
    if (this.codec.exports.frame_decode_region(this.number, level, x, y, width, height, 0) !== 0) throw new Error(this.error());
    return this.image();
  }

  /** Lets the memory go. */
  close() {
    this.codec.exports.frame_open(this.number);
    this.codec.free.push(this.number);
  }

  error() {
    const { memory, frame_error, frame_error_length } = this.codec.exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, frame_error(this.number), frame_error_length(this.number)));
  }
}

function arrayOf({ precision, signed }) {
  if (precision <= 8) return signed ? Int8Array : Uint8Array;
  if (precision <= 16) return signed ? Int16Array : Uint16Array;
  return Int32Array;
}
