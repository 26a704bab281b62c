// What a program with types sees: compiled by a test, in a project that has nothing but this package.
import { loadCodec, type HtImage } from '@firstlight/htj2k';
import { DecoderPool } from '@firstlight/htj2k/pool';
import Factory from '@firstlight/htj2k/openjph';

export async function sizes(bytes: Uint8Array): Promise<[number, number]> {
  const codec = await loadCodec({ maxMemory: 1 << 28 });
  const image: HtImage = codec.decode(bytes, 1);
  return [image.width, image.height];
}

export function inWorkers(bytes: Uint8Array): Promise<HtImage> {
  const frame = new DecoderPool({ workers: 1 }).open(bytes.length);
  frame.push(bytes);
  return frame.decode(0);
}

export async function asThePeer(bytes: Uint8Array): Promise<number> {
  const { HTJ2KDecoder } = await Factory();
  const decoder = new HTJ2KDecoder();
  decoder.getEncodedBuffer(bytes.length).set(bytes);
  decoder.decode();
  return decoder.getFrameInfo().width;
}
