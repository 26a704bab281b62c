// What a program with types sees: compiled by a test, in a project that has nothing but these packages.
import type { HtImage } from '@firstlight/htj2k';
import { DecoderPool } from '@firstlight/htj2k/pool';
import { fittingLevel, FrameStream, LevelCache, LineMeter, ScrollPredictor, volumeOrder, type StreamState } from '@firstlight/loader';

export const meter: LineMeter = new LineMeter();
export const order: { slice: number; level: number }[] = volumeOrder(143, 70, 1);
export const ahead: number[] = new ScrollPredictor().ahead(143, 0.5, 20);
export const cache = LevelCache;
export const fitting = fittingLevel;

export function show(url: string, draw: (image: HtImage) => void, tell: (state: StreamState) => void): FrameStream {
  const stream = new FrameStream({ url, decoders: new DecoderPool(), meter, onImage: draw, onState: tell });
  stream.want(2);
  return stream;
}
