/**
 * Full quality, because the user wants it: every image of the shown stacks comes whole, the nearest first, also while pictures pass and where the
 * device saves data. Without that the loader decides by the line. What is on the screen becomes full either way.
 */
import { outwards } from '@firstlight/loader';
import { canLoad, shapeOf, sizeOf, type Frames, type FramesClient, type FrameWish, type Wishes } from '@firstlight/loader/cornerstone';
import type { Cornerstone, Viewport } from './host.ts';

/** Bytes of samples that are fetched ahead; what lies farther comes when the user is nearer. */
const AHEAD = 256 << 20;
const KEPT = 'firstlight-quality';

export class FullQuality implements FramesClient {
  readonly #frames: Frames;
  readonly #view: Window;
  #on = false;

  constructor(frames: Frames, view: Window) {
    [this.#frames, this.#view] = [frames, view];
    this.on = stored(view) === 'full';
  }

  get on(): boolean {
    return this.#on;
  }

  set on(on: boolean) {
    if (on === this.#on) return;
    this.#on = on;
    on ? this.#frames.add(this) : this.#frames.remove(this);
    try {
      on ? this.#view.localStorage.setItem(KEPT, 'full') : this.#view.localStorage.removeItem(KEPT);
    } catch {
      // A browser that keeps nothing has it for this page.
    }
  }

  wishes(): Wishes {
    const cornerstone = this.#view.cornerstone;
    const stacks = (cornerstone?.getRenderingEngines() ?? []).flatMap(engine => engine.getViewports()).filter(({ getImageIds, getAllVolumeIds }) => getImageIds && !getAllVolumeIds);
    const [now, later]: [FrameWish[], FrameWish[]] = [[], []];
    for (const stack of stacks) {
      const [current, ...others] = nearestFirst(cornerstone!, stack);
      if (current !== undefined) now.push(wish(cornerstone!, current));
      later.push(...within(AHEAD / stacks.length, cornerstone!, others));
    }
    return { now, later };
  }

  /** The stack that an image belongs to takes it. */
  onPicture(): void {}

  onState(): void {}
}

function nearestFirst(cornerstone: Cornerstone, stack: Viewport): string[] {
  const imageIds = stack.getImageIds!();
  return outwards(imageIds.length, stack.getCurrentImageIdIndex?.() ?? 0).map(n => imageIds[n]!).filter(imageId => canLoad(cornerstone, imageId));
}

function within(bytes: number, cornerstone: Cornerstone, imageIds: readonly string[]): FrameWish[] {
  const wishes: FrameWish[] = [];
  for (const imageId of imageIds) {
    const { width, height } = sizeOf(cornerstone, imageId);
    bytes -= width * height * 2;
    if (bytes < 0) break;
    wishes.push(wish(cornerstone, imageId));
  }
  return wishes;
}

const wish = (cornerstone: Cornerstone, frame: string): FrameWish => ({ frame, level: 0, shape: shapeOf(cornerstone, frame) });

function stored(view: Window): string | null {
  try {
    return view.localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
