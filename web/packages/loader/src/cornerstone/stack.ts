/**
 * A stack viewport's images. The slice under the index is what is shown, at the level that can arrive in time; at rest it becomes full quality, and
 * what the user may turn to next is fetched ahead. Previews are images of fewer pixels, as Cornerstone3D's own progressive loader gives them.
 */
import type { StreamState } from '../frame-stream.ts';
import { coarsest, fittingLevel, sideAt, usefulLevel, type FrameLevels, type Shown } from '../levels.ts';
import { outwards, ScrollPredictor, STILL_MS } from '../order.ts';
import type { Picture } from '../loading/picture.ts';
import { QUALITY, type AnyViewport, type Cornerstone, type ImagesListener, type ImagesLoader, type LoadedImage } from './api.ts';
import type { Frames, FramesClient, FrameWish, Wishes } from './frames.ts';
import { canLoad, imageOf, shapeOf, sizeOf, windowOf } from './image.ts';
import { Pace } from './pace.ts';
import type { Tally } from './tally.ts';

/** Cornerstone3D's event on a viewport's element. */
const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';
/** A slice that is passed is worth a picture that comes within this time. */
const IN_PASSING_MS = 110;
/** Pixels of the longer side that a picture in passing should have. */
const LEAST_SIDE = 128;
/** Who looks at one image for so long reads it: the line is free for what lies farther around. */
const READ_MS = 4000;
/** Of what the line brings, scrolling takes this part: what it cannot keep up with would come late for every slice. */
const KEPT_UP = 0.8;
/** What comes next is fetched so many seconds ahead, and twice the time that one takes on the line. */
const REACH_S = 0.25;
/** How long a picture below use waits for the next. */
const PATIENCE_MS = 120;
/** Images around the one that is looked at which come whole, whatever the user does next. */
const NEXT = 3;
/** Bytes of the line that may be fetched ahead. */
const AHEAD = 12 << 20;
/** Bytes of memory that pictures fetched ahead may take. */
const MEMORY = 48 << 20;

type StackViewport = ImagesListener & Partial<AnyViewport>;

export class StackClient implements FramesClient, ImagesLoader {
  readonly #cornerstone: Cornerstone;
  readonly #frames: Frames;
  readonly #fallback: ImagesLoader;
  readonly #tally: Tally;
  readonly #predictor = new ScrollPredictor();
  readonly #pace = new Pace();
  readonly #onStart: (client: StackClient) => void;
  #viewport: StackViewport | undefined;
  #current: string | undefined;
  #shown: { imageId: string; level: number; image: LoadedImage } | undefined;
  #settle: (() => void) | undefined;
  #timers: ReturnType<typeof setTimeout>[] = [];
  /** The user has stayed with the image for long enough to read it. */
  #reads = false;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #handedOver = new Set<string>();
  #places: { of: readonly string[]; at: ReadonlyMap<string, number> } = { of: [], at: new Map() };

  constructor(cornerstone: Cornerstone, frames: Frames, fallback: ImagesLoader, tally: Tally, onStart: (client: StackClient) => void) {
    [this.#cornerstone, this.#frames, this.#fallback, this.#tally, this.#onStart] = [cornerstone, frames, fallback, tally, onStart];
  }

  get viewport(): object | undefined {
    return this.#viewport;
  }

  get element(): HTMLElement | undefined {
    return this.#viewport?.element;
  }

  /** Called by the viewport for each image that it turns to. Settles when a picture of it is shown, or another is wanted. */
  loadImages(imageIds: string[], listener: ImagesListener): Promise<unknown> {
    const [imageId] = imageIds;
    this.#look(listener);
    this.#settle?.();
    // What failed while it was fetched ahead tells it only now.
    if (imageId !== undefined && this.#frames.state(imageId).state === 'failed') this.#handedOver.add(imageId);
    if (imageId === undefined || this.#handedOver.has(imageId) || !canLoad(this.#cornerstone, imageId)) {
      this.#current = undefined;
      this.#frames.remove(this);
      return this.#fallback.loadImages(imageIds, listener);
    }
    this.#onStart(this);
    this.#shown = undefined;
    this.#turnTo(imageId);
    const settled = new Promise<void>(resolve => (this.#settle = resolve));
    this.#show(imageId);
    this.#frames.add(this);
    return settled;
  }

  close(): void {
    this.element?.removeEventListener(RENDERED, this.#rendered);
    for (const timer of [...this.#timers, this.#patience]) clearTimeout(timer);
    this.#settle?.();
    this.#current = undefined;
    this.#frames.remove(this);
  }

  wishes(): Wishes {
    const current = this.#current;
    if (current === undefined || this.#handedOver.has(current)) return { now: [], later: [] };
    const moving = this.#moving;
    const target = moving ? this.#inPassing(current) : 0;
    const now = [this.#wish(current, target, this.#shown?.imageId === current ? this.#finerThan(current, this.#shown.level) : [this.#useful(current), this.#fitting(current)])];
    // Who scrolls will have passed this one when it comes: the next ones are on their way beside it.
    const later = moving || this.#frames.has(current, this.#useful(current)) ? this.#ahead(moving) : [];
    return { now, later };
  }

  far(imageId: string): number | undefined {
    const at = this.#place(imageId);
    return at === undefined || this.#current === undefined ? undefined : Math.abs(at - this.#index(this.#current));
  }

  onPicture(imageId: string, picture: Picture): void {
    if (imageId !== this.#current) {
      if (this.#place(imageId) === undefined) return;
      this.#tally.prefetched(imageId, this.#frames.bytesOf(imageId, picture.level) ?? 0);
      if (picture.level === 0 && !this.#cached(imageId)) this.#keep(imageId, imageOf(this.#cornerstone, imageId, picture));
      return;
    }
    this.#show(imageId);
    this.#frames.replan();
  }

  onState(imageId: string, state: StreamState): void {
    if (state.state !== 'failed' || imageId !== this.#current || this.#handedOver.has(imageId)) return;
    // What this loader cannot have, the stock one may; it also says why not.
    this.#handedOver.add(imageId);
    void this.#fallback.loadImages([imageId], this.#viewport!).then(() => this.#settle?.(), () => this.#settle?.());
  }

  readonly #rendered = (): void => this.#pace.drawn();

  #look(viewport: StackViewport): void {
    if (this.#viewport === viewport) return;
    this.element?.removeEventListener(RENDERED, this.#rendered);
    this.#viewport = viewport;
    this.element?.addEventListener?.(RENDERED, this.#rendered);
  }

  #turnTo(imageId: string): void {
    if (this.#current !== imageId) {
      this.#pace.turned(this.#moving);
      const first = this.#current === undefined;
      this.#current = imageId;
      const here = this.#cached(imageId) !== undefined || this.#frames.has(imageId, this.#useful(imageId));
      if (!first) this.#tally.turned(imageId, here);
    }
    this.#predictor.at(this.#index(imageId));
    this.#reads = false;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [setTimeout(() => this.#rest(imageId), STILL_MS + 20), setTimeout(() => this.#rest(imageId, true), READ_MS)];
  }

  #rest(imageId: string, reads = false): void {
    this.#reads = reads;
    if (imageId === this.#current) this.#show(imageId);
    this.#frames.replan();
  }

  /** Hands over the finest picture in memory, if it is finer than what is shown. */
  #show(imageId: string, now = false): void {
    const shown = this.#shown?.imageId === imageId ? this.#shown : undefined;
    // One picture of each slice that is passed: drawing another takes the time of the next slice's.
    if (shown && this.#moving) return;
    const cached = this.#cached(imageId);
    if (cached) {
      if (shown?.level !== 0 || shown.image !== cached) this.#hand(imageId, 0, cached);
      return;
    }
    const best = this.#frames.best(imageId);
    if (!best || (shown && best.level >= shown.level)) return;
    // Drawing takes longer than decoding: what a useful level follows at once is not drawn before it, unless the user scrolls.
    clearTimeout(this.#patience);
    if (!now && best.level > this.#useful(imageId) && !this.#moving) {
      this.#patience = setTimeout(() => imageId === this.#current && this.#show(imageId, true), PATIENCE_MS);
      return;
    }
    const image = imageOf(this.#cornerstone, imageId, best);
    if (best.level === 0) this.#keep(imageId, image);
    this.#hand(imageId, best.level, image);
  }

  #hand(imageId: string, level: number, image: LoadedImage): void {
    const before = this.#shown;
    this.#shown = { imageId, level, image };
    this.#pace.handed();
    this.#viewport!.successCallback(imageId, image);
    if (level === 0 && before?.imageId === imageId) this.#window(imageId, before.image, image);
    this.#settle?.();
    this.#settle = undefined;
  }

  /** Where the metadata tell no window, the range of the full image takes the place of the preview's, unless the user has set another. */
  #window(imageId: string, preview: LoadedImage, full: LoadedImage): void {
    if (full.color || windowOf(this.#cornerstone, imageId)) return;
    const range = this.#viewport?.getProperties?.().voiRange;
    if (!range || range.lower !== preview.minPixelValue || range.upper !== preview.maxPixelValue) return;
    this.#viewport?.setProperties?.({ voiRange: { lower: full.minPixelValue, upper: full.maxPixelValue } });
  }

  #keep(imageId: string, image: LoadedImage): void {
    const { cache, eventTarget, triggerEvent } = this.#cornerstone;
    cache.putImageLoadObject(imageId, { promise: Promise.resolve(image) }).catch(() => undefined);
    this.#frames.delivered(imageId, image);
    triggerEvent(eventTarget, 'CORNERSTONE_IMAGE_LOADED', { image });
  }

  #cached(imageId: string): LoadedImage | undefined {
    const image = this.#cornerstone.cache.getImage(imageId) ?? this.#frames.full(imageId);
    return image && (image.imageQualityStatus ?? QUALITY.full) >= QUALITY.full ? image : undefined;
  }

  get #moving(): boolean {
    return Math.abs(this.#predictor.speed) > 0;
  }

  #imageIds(): string[] {
    return this.#viewport?.getImageIds?.() ?? [];
  }

  #index(imageId: string): number {
    return this.#place(imageId) ?? 0;
  }

  /** Where an image stands in the stack; `undefined` if it is not of it. */
  #place(imageId: string): number | undefined {
    const imageIds = this.#imageIds();
    if (this.#places.of !== imageIds) this.#places = { of: imageIds, at: new Map(imageIds.map((each, n) => [each, n])) };
    return this.#places.at.get(imageId);
  }

  #levels(imageId: string): FrameLevels {
    return this.#frames.levels(imageId) ?? { ...sizeOf(this.#cornerstone, imageId), ends: [1, 2, 3, 4, 5, 6] };
  }

  #useful(imageId: string): number {
    return usefulLevel(this.#levels(imageId), this.#device(imageId));
  }

  #fitting(imageId: string): number {
    return fittingLevel(this.#levels(imageId), this.#device(imageId));
  }

  #wish(frame: string, level: number, worth: readonly number[] = []): FrameWish {
    return { frame, level, worth, shape: shapeOf(this.#cornerstone, frame) };
  }

  /** Levels worth drawing after one is shown: what fits the screen, if that is finer. */
  #finerThan(imageId: string, shown: number): number[] {
    return [this.#useful(imageId), this.#fitting(imageId)].filter(level => level < shown);
  }

  /** Device pixels that the image covers. */
  #device(imageId: string): Shown {
    const { width, height } = sizeOf(this.#cornerstone, imageId);
    const canvas = this.#viewport?.canvas;
    if (!canvas || !(canvas.width > 0 && canvas.height > 0)) return { width: 512, height: 512 };
    let zoom = 1;
    try {
      if (this.#shown) zoom = this.#viewport?.getZoom?.() ?? 1;
    } catch {
      // Nothing is drawn yet.
    }
    const scale = Math.min(canvas.width / width, canvas.height / height) * (zoom > 0 ? zoom : 1);
    return { width: width * scale, height: height * scale };
  }

  /** The finest level that comes in time while the user scrolls, and as fast as slices pass; of what is only a preview, one coarser where the page does not draw as fast. */
  #inPassing(imageId: string): number {
    const levels = this.#levels(imageId);
    const useful = this.#useful(imageId);
    const least = (level: number) => level >= coarsest(levels) || Math.max(sideAt(levels.width, level + 1), sideAt(levels.height, level + 1)) < LEAST_SIDE;
    let level = useful;
    while (!least(level) && !this.#keepsUp(imageId, level)) level++;
    return level > useful && this.#pace.isBehind && !least(level) ? level + 1 : level;
  }

  /** Whether the line brings this level of each slice that passes, and in time. */
  #keepsUp(imageId: string, level: number): boolean {
    const bytes = this.#frames.bytesOf(imageId, level) ?? 0;
    return bytes <= KEPT_UP * this.#bytesASlice && (this.#frames.time(bytes) ?? 0) <= IN_PASSING_MS;
  }

  /** Bytes that the line brings while one slice passes. */
  get #bytesASlice(): number {
    return (this.#frames.line.throughput ?? Infinity) / Math.abs(this.#predictor.speed);
  }

  /** Seconds that are to be fetched ahead of who scrolls: what is farther may never be looked at. */
  #reach(): number {
    const bytes = this.#frames.bytesOf(this.#current!, this.#inPassing(this.#current!)) ?? 0;
    return REACH_S + (2 * (this.#frames.time(bytes) ?? 0)) / 1000;
  }

  #ahead(moving: boolean): FrameWish[] {
    const imageIds = this.#imageIds();
    const at = this.#index(this.#current!);
    // Who pays for bytes is not made to pay for guesses.
    const most = savesData() ? 2 : moving || this.#reads ? 40 : NEXT;
    const order = moving ? this.#predictor.ahead(imageIds.length, this.#reach(), most).slice(1) : outwards(imageIds.length, at).slice(1, most + 1);
    const wishes: FrameWish[] = [];
    let [bytes, memory] = [0, 0];
    const frames = order.map(n => imageIds[n]!).filter(frame => canLoad(this.#cornerstone, frame));
    for (const frame of frames) {
      const level = moving ? this.#inPassing(frame) : this.#useful(frame);
      bytes += this.#frames.bytesOf(frame, level) ?? 0;
      const { width, height } = sizeOf(this.#cornerstone, frame);
      memory += sideAt(width, level) * sideAt(height, level) * 2;
      if (bytes > AHEAD || memory > MEMORY) break;
      wishes.push(this.#wish(frame, level));
    }
    if (savesData()) return wishes;
    // What the line has left makes what is there finer, if that will be done before it is passed.
    const finer = frames.slice(0, NEXT).map(frame => this.#wish(frame, moving ? this.#useful(frame) : 0));
    return [...wishes, ...finer.filter(({ frame, level }) => !moving || (this.#frames.bytesOf(frame, level) ?? 0) <= this.#bytesASlice)];
  }
}

function savesData(): boolean {
  return (globalThis.navigator as (Navigator & { connection?: { saveData?: boolean } }) | undefined)?.connection?.saveData === true;
}
