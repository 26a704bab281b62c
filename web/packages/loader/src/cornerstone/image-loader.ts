/** An image loader for `wadors:`: the full image, by the same streams as the viewports' previews; what is not loaded here goes to the stock loader. */
import type { StreamState } from '../frame-stream.ts';
import type { Picture } from '../loading/picture.ts';
import type { Cornerstone, ImageLoaderFunction, LoadedImage } from './api.ts';
import type { Frames, FramesClient } from './frames.ts';
import { canLoad, imageOf, shapeOf } from './image.ts';

export function imageLoader(cornerstone: Cornerstone, frames: Frames, stock: ImageLoaderFunction): ImageLoaderFunction {
  return (imageId, options) => {
    // Another buffer or another rescale than the image's own is the stock loader's matter.
    const plain = options?.targetBuffer === undefined && (options?.preScale as { enabled?: boolean } | undefined)?.enabled !== false;
    if (!plain || !canLoad(cornerstone, imageId)) return stock(imageId, options);
    const there = frames.full(imageId);
    if (there) return { promise: Promise.resolve(there) };
    const whole = new Whole(cornerstone, frames, imageId);
    const promise = whole.promise.catch(() => stock(imageId, options).promise);
    return { promise, cancelFn: () => frames.remove(whole) };
  };
}

class Whole implements FramesClient {
  readonly promise: Promise<LoadedImage>;
  readonly #cornerstone: Cornerstone;
  readonly #frames: Frames;
  readonly #imageId: string;
  #resolve: (image: LoadedImage) => void = () => undefined;
  #reject: (reason: Error) => void = () => undefined;

  constructor(cornerstone: Cornerstone, frames: Frames, imageId: string) {
    [this.#cornerstone, this.#frames, this.#imageId] = [cornerstone, frames, imageId];
    this.promise = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
    const best = frames.best(imageId);
    if (best?.level === 0) this.onPicture(imageId, best);
    else frames.add(this);
  }

  wishes() {
    return { now: [], later: [{ frame: this.#imageId, level: 0, shape: shapeOf(this.#cornerstone, this.#imageId) }] };
  }

  onPicture(imageId: string, picture: Picture): void {
    if (imageId !== this.#imageId || picture.level > 0) return;
    const full = this.#frames.full(imageId) ?? imageOf(this.#cornerstone, imageId, picture);
    this.#frames.remove(this);
    this.#resolve(full);
  }

  onState(imageId: string, state: StreamState): void {
    if (imageId !== this.#imageId || state.state !== 'failed') return;
    this.#frames.remove(this);
    this.#reject(new Error(state.reason));
  }
}
