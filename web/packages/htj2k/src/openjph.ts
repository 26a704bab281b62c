/**
 * The same decoder in the form of `@cornerstonejs/codec-openjph`, for programs that were written for that one.
 *
 *     import Factory from '@firstlight/htj2k/openjph';
 *     const codec = await Factory();
 *     const decoder = new codec.HTJ2KDecoder();
 *     decoder.getEncodedBuffer(bytes.length).set(bytes);
 *     decoder.decode();                       // or decodeSubResolution(level)
 *     const { width, height } = decoder.getFrameInfo();
 *     const pixels = decoder.getDecodedBuffer();   // bytes
 */
import { loadCodec, type Codec, type LoadOptions } from './codec.ts';
import type { HtHeader, HtImage } from './frame.ts';

export interface FrameInfo {
  width: number;
  height: number;
  bitsPerSample: number;
  componentCount: number;
  isSigned: boolean;
}

/** What takes the place of the peer's class. Encoding, and what it tells of tiles and layers, is not there. */
export interface HTJ2KDecoder {
  /** Room for the codestream, or for the beginning of one. */
  getEncodedBuffer(length: number): Uint8Array;
  readHeader(): void;
  decode(): void;
  decodeSubResolution(level: number): void;
  getFrameInfo(): FrameInfo;
  /** The samples as bytes, little endian: one each up to 8 bits, two up to 16, else four. */
  getDecodedBuffer(): Uint8Array;
  calculateSizeAtDecompositionLevel(level: number): { width: number; height: number };
  delete(): void;
}

export interface OpenJph {
  HTJ2KDecoder: new () => HTJ2KDecoder;
}

/** Loads the module, as the peer's factory does. */
export default async function Factory(options: LoadOptions = {}): Promise<OpenJph> {
  const codec = await loadCodec(options);
  return {
    HTJ2KDecoder: class implements HTJ2KDecoder {
      #encoded = new Uint8Array(0);
      #header: HtHeader | undefined;
      #image: HtImage | undefined;

      getEncodedBuffer(length: number): Uint8Array {
        this.#encoded = new Uint8Array(length);
        this.#image = this.#header = undefined;
        return this.#encoded;
      }

      readHeader(): void {
        this.#header = headerOf(codec, this.#encoded);
      }

      decode(): void {
        this.decodeSubResolution(0);
      }

      decodeSubResolution(level: number): void {
        this.#image = codec.decode(this.#encoded, level);
      }

      getFrameInfo(): FrameInfo {
        const { width, height, precision, components, signed } = this.#image ?? this.#told();
        return { width, height, bitsPerSample: precision, componentCount: components, isSigned: signed };
      }

      getDecodedBuffer(): Uint8Array {
        if (!this.#image) throw new Error('nothing is decoded yet');
        const { samples } = this.#image;
        return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
      }

      calculateSizeAtDecompositionLevel(level: number): { width: number; height: number } {
        const { width, height } = this.#told();
        const of = (side: number) => Math.ceil(side / 2 ** level);
        return { width: of(width), height: of(height) };
      }

      delete(): void {
        this.#encoded = new Uint8Array(0);
        this.#image = this.#header = undefined;
      }

      #told(): HtHeader {
        return (this.#header ??= headerOf(codec, this.#encoded));
      }
    },
  };
}

function headerOf(codec: Codec, bytes: Uint8Array): HtHeader {
  const frame = codec.open(bytes.length);
  try {
    frame.push(bytes);
    return frame.header();
  } finally {
    frame.close();
  }
}
