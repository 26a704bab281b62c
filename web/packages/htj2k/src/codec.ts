/** The WebAssembly module: found, fetched, instantiated. */
import { HtFrame } from './frame.ts';

/** What the module exports; frames are numbers there. */
export interface Exports {
  memory: WebAssembly.Memory;
  limit_memory(bytes: number): void;
  frame_open(frame: number): void;
  frame_begin(frame: number, length: number): void;
  frame_incoming(frame: number, count: number): number;
  frame_push(frame: number): number;
  frame_put(frame: number, offset: number): number;
  frame_have(frame: number): number;
  frame_ranges(frame: number, level: number, x: number, y: number, width: number, height: number, detail: number, gap: number): number;
  frame_ranges_at(frame: number): number;
  frame_ranges_count(frame: number): number;
  frame_level(frame: number): number;
  frame_header(frame: number): number;
  frame_decode(frame: number, level: number): number;
  frame_decode_region(frame: number, level: number, x: number, y: number, width: number, height: number, detail: number): number;
  frame_samples(frame: number): number;
  frame_width(frame: number): number;
  frame_height(frame: number): number;
  frame_components(frame: number): number;
  frame_precision(frame: number): number;
  frame_signed(frame: number): number;
  frame_complete(frame: number): number;
  frame_need(frame: number): number;
  frame_error(frame: number): number;
  frame_error_length(frame: number): number;
}

export interface LoadOptions {
  /** The module: its bytes, a response, or where it is. Without it, `htj2k.wasm` beside this file, or `htj2k-scalar.wasm` where SIMD is not there. */
  wasm?: BufferSource | Response | Promise<Response> | URL | string;
  /** Bytes of working memory that one decoding may take, the image and the codestream apart. 1 GiB without it. */
  maxMemory?: number;
}

/** A loaded module. It keeps the memory of closed frames for the next ones. */
export interface Codec {
  /** Begins a codestream of `length` bytes. */
  open(length: number): HtFrame;
  /** Decodes a whole codestream, or the beginning of one, to a level. The samples are a copy. */
  decode(codestream: Uint8Array, level?: number): ReturnType<HtFrame['decode']>;
  /** Bytes of memory that the module holds. It never shrinks: who must, begins a new module (a new worker). */
  readonly heldBytes: number;
}

/** Whether WebAssembly SIMD (128 bits) is there. */
export function simdIsThere(): boolean {
  // A function that makes a vector of zero and takes a lane of it: (v128.const 0) (i8x16.extract_lane_u 0).
  const body = [0xfd, 12, ...Array<number>(16).fill(0), 0xfd, 22, 0, 11];
  const code = [1, body.length + 1, 0, ...body];
  const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 10, code.length, ...code];
  return WebAssembly.validate(new Uint8Array(bytes));
}

/** Loads the module. */
export async function loadCodec(options: LoadOptions = {}): Promise<Codec> {
  const source = options.wasm ?? (simdIsThere() ? new URL('./htj2k.wasm', import.meta.url) : new URL('./htj2k-scalar.wasm', import.meta.url));
  const exports = await instantiate(source);
  if (options.maxMemory !== undefined) exports.limit_memory(options.maxMemory);
  return new LoadedCodec(exports);
}

async function instantiate(source: NonNullable<LoadOptions['wasm']>): Promise<Exports> {
  const given = await (typeof source === 'string' || source instanceof URL ? open(source) : source);
  if (typeof Response !== 'undefined' && given instanceof Response) {
    if (!given.ok) throw new Error(`the decoder could not be fetched: ${given.status} ${given.url}`);
    const typed = given.headers.get('Content-Type')?.startsWith('application/wasm') && 'instantiateStreaming' in WebAssembly;
    const { instance } = typed ? await WebAssembly.instantiateStreaming(given) : await WebAssembly.instantiate(await given.arrayBuffer());
    return instance.exports as unknown as Exports;
  }
  const { instance } = await WebAssembly.instantiate(given as BufferSource);
  return instance.exports as unknown as Exports;
}

/** In Node a file is read, elsewhere an address is fetched. */
async function open(where: URL | string): Promise<Response | BufferSource> {
  const url = where instanceof URL ? where : new URL(where, import.meta.url);
  if (url.protocol !== 'file:') return fetch(url);
  const files: { readFile(url: URL): Promise<Uint8Array<ArrayBuffer>> } = await import(/* @vite-ignore */ nodeModule('fs/promises'));
  return files.readFile(url);
}

/** A name that bundlers for browsers leave alone. */
function nodeModule(name: string): string {
  return `node:${name}`;
}

class LoadedCodec implements Codec {
  readonly #exports: Exports;
  readonly #free: number[] = [];
  #count = 0;

  constructor(exports: Exports) {
    this.#exports = exports;
  }

  open(length: number): HtFrame {
    const number = this.#free.pop() ?? this.#count++;
    this.#exports.frame_open(number);
    return new HtFrame(this.#exports, number, length, () => this.#free.push(number));
  }

  decode(codestream: Uint8Array, level = 0): ReturnType<HtFrame['decode']> {
    const frame = this.open(codestream.length);
    try {
      frame.push(codestream);
      const image = frame.decode(level);
      return { ...image, samples: image.samples.slice() };
    } finally {
      frame.close();
    }
  }

  get heldBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }
}
