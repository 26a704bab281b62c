/**
 * The slices of a volume: a level that is useful in the panes of every slice before any slice is full, outwards from what is looked at, re-ordered as
 * the user moves. Each slice has one buffer of full size, which finer levels are written into.
 */
import type { StreamState } from '../frame-stream.ts';
import { usefulLevel, type FrameLevels } from '../levels.ts';
import { expandInto } from '../loading/expand.ts';
import { ARRAYS, type ArrayName, type Picture, type PixelArray, type Shape } from '../loading/picture.ts';
import { volumeOrder } from '../order.ts';
import { QUALITY, type AnyViewport, type AnyVolume, type Cornerstone, type ImagesListener, type ImagesLoader, type LoadedImage } from './api.ts';
import type { Frames, FramesClient, FrameWish, Wishes } from './frames.ts';
import { canLoad, comesWhole, makeImage, shapeOf, sizeOf } from './image.ts';
import { crossing, leastLike, likenessBetween, type Crossing } from './likeness.ts';
import { covers, putRegion, type Region } from './regions.ts';
import { Redraw, type Pane } from './redraw.ts';

/** Neighbours that stand in for a slice until it comes: how far, and what Cornerstone3D calls that. */
const NEIGHBOURS = [[-1, QUALITY.adjacent], [1, QUALITY.adjacent], [-2, QUALITY.far], [2, QUALITY.far]] as const;
/** Every so many slices first, so that planes across them have something everywhere. */
const STRIDE = 4;
/** How like its final picture a plane shall be (SSIM) before the rest of the slices becomes full. */
const ALIKE = 0.9;
/** How like it is where the lines that it shows are sketched, by the same measure. */
const SKETCHED = 0.95;
/** So many slices may be under way when it is told which lack most. */
const UNDER_WAY = 8;
/** What a busy page has not taken yet is taken before gaps are filled. */
const FILL_MS = 20;

interface Slice {
  image: LoadedImage;
  values: PixelArray;
  /** What is in the buffer; none while a neighbour's values stand in. */
  level: number | undefined;
  /** Pixels of the full image that are there beside the level. */
  regions: Region[];
}

/** The slice that an image of ours belongs to: two volumes of one series share it. */
const SLICES = new WeakMap<LoadedImage, Slice>();

export class VolumeClient implements FramesClient, ImagesLoader {
  readonly #cornerstone: Cornerstone;
  readonly #frames: Frames;
  readonly #fallback: ImagesLoader;
  readonly #ready: (imageIds: readonly string[]) => Promise<unknown>;
  readonly #onStart: (client: VolumeClient) => void;
  /** The level of each slice that this volume was told of. */
  readonly #told = new Map<string, number>();
  /** Slices that are full, or can't be had. */
  readonly #over = new Set<string>();
  /** Slices that did not come as they should: others do not wait for them. */
  readonly #troubled = new Set<string>();
  readonly #place = new Map<string, number>();
  #imageIds: string[] = [];
  #volume: AnyVolume | undefined;
  #redraw: Redraw | undefined;
  #levelsKnown = false;
  #useful = 1;
  #focus = 0;
  /** Slices of which a region can't be had by itself. */
  readonly #wholeOnly = new Set<string>();
  #reached = 0;
  #filling: ReturnType<typeof setTimeout> | undefined;
  /** Slices that show something, be it a neighbour's values. */
  readonly #covered = new Set<number>();
  #done: (() => void) | undefined;

  /** `ready` settles when the levels of a series are known, or are not to be had. */
  constructor(cornerstone: Cornerstone, frames: Frames, fallback: ImagesLoader, ready: (imageIds: readonly string[]) => Promise<unknown>, onStart: (client: VolumeClient) => void) {
    [this.#cornerstone, this.#frames, this.#fallback, this.#ready, this.#onStart] = [cornerstone, frames, fallback, ready, onStart];
  }

  get volumeId(): string | undefined {
    return this.#volume?.volumeId;
  }

  loadImages(imageIds: string[], listener: ImagesListener): Promise<unknown> {
    if (imageIds.length === 0 || !imageIds.every(imageId => this.#canLoad(imageId))) return this.#fallback.loadImages(imageIds, listener);
    const volume = (this.#volume = listener as AnyVolume);
    this.#imageIds = imageIds;
    imageIds.forEach((imageId, n) => this.#place.set(imageId, n));
    this.#redraw = new Redraw(() => {
      this.#fillGaps();
      return this.#veiled();
    });
    volume.autoRenderOnLoad = false;
    this.#look();
    const done = new Promise<void>(resolve => (this.#done = resolve));
    this.#takeWhatIsThere();
    this.#onStart(this);
    this.#frames.add(this);
    for (const imageId of imageIds) this.onState(imageId, this.#frames.state(imageId));
    void this.#ready(imageIds).finally(() => {
      this.#levelsKnown = true;
      this.#look();
    });
    return done;
  }

  close(): void {
    this.#frames.remove(this);
    clearTimeout(this.#filling);
    this.#redraw?.close();
    for (const { viewport } of this.#viewports()) veil(viewport, false);
    this.#done?.();
  }

  /** The panes or the crosshairs moved: what is near them comes first. */
  look(): void {
    if (this.#missing > 0) this.#look();
  }

  wishes(): Wishes {
    if (this.#missing === 0 || this.#volume?.loadStatus?.cancelled) return { now: [], later: [] };
    // Until the levels are known a part of a frame can only be had by breaking off: the slice that is looked at comes whole.
    if (!this.#areLevelsKnown() && !comesWhole(this.#cornerstone, this.#imageIds[0]!)) return { now: [this.#wish(this.#imageIds[this.#focus]!, 0)], later: [] };
    const lacking = this.#lacking();
    const whole = lacking.map(({ slice }) => slice).filter(slice => this.#wholeOnly.has(this.#imageIds[slice]!));
    // What lacks most is known when nearly all have come: no slice becomes full before that.
    const coarsely = this.#useful > 0 && !this.#areNearlyAllTold();
    const order = volumeOrder(this.#imageIds.length, this.#focus, this.#useful, { stride: STRIDE, lacking: whole }).filter(({ level }) => level > 0 || !coarsely);
    const now = order.filter(({ slice, level }) => !this.holds(this.#imageIds[slice]!, level)).map(({ slice, level }) => this.#wish(this.#imageIds[slice]!, level));
    const regions = lacking.flatMap(({ slice, region, detail }) => {
      const frame = this.#imageIds[slice]!;
      return this.#wholeOnly.has(frame) ? [] : [{ frame, region, detail, shape: this.#shape(frame) }];
    });
    return { now, later: [], regions };
  }

  /** Those of the whole series, or as far as the worker has begun with it by itself. */
  #areLevelsKnown(): boolean {
    return this.#levelsKnown || this.#frames.levels(this.#imageIds[this.#focus]!) !== undefined;
  }

  holds(imageId: string, level: number): boolean {
    return (this.#told.get(imageId) ?? Infinity) <= level;
  }

  onPicture(imageId: string, picture: Picture): void {
    const at = this.#place.get(imageId);
    if (at === undefined || !this.#volume || this.#volume.loadStatus?.cancelled) return;
    if (!this.holds(imageId, picture.level) && this.#isRight(imageId, picture)) this.#take(imageId, picture);
  }

  /** Some lines of the full image, into a slice that has a level. */
  onRegion(imageId: string, region: Region, values: PixelArray | undefined): void {
    const slice = this.#place.has(imageId) ? this.#existing(imageId) : undefined;
    if (!slice?.level || this.#volume?.loadStatus?.cancelled) return;
    if (values) {
      putRegion(slice.values, sizeOf(this.#cornerstone, imageId).width, region, values);
      slice.regions.push(region);
      this.#tell(imageId, slice.image);
    } else {
      this.#wholeOnly.add(imageId);
      this.#frames.replan();
    }
  }

  /** What was made before the slice's own rescale was known is given anew where that is another. */
  #isRight(imageId: string, { made }: Picture): boolean {
    const { slope, intercept, bits } = shapeOf(this.#cornerstone, imageId);
    if (!made || (made.slope === slope && made.intercept === intercept && made.bits === bits)) return true;
    this.#frames.letGo(imageId);
    this.#frames.replan();
    return false;
  }

  onState(imageId: string, state: StreamState): void {
    const at = this.#place.get(imageId);
    this.#notice(imageId, state);
    if (state.state !== 'failed' || at === undefined || !this.#volume || this.holds(imageId, 0)) return;
    // What this loader cannot have, the stock one may.
    const options = { ...this.#volume.getLoaderImageOptions(imageId) };
    this.#cornerstone.imageLoader.loadAndCacheImage(imageId, options).then(
      image => {
        image.imageQualityStatus ??= QUALITY.full;
        this.#note(imageId, 0);
        this.#tell(imageId, image);
      },
      (reason: unknown) => {
        this.#volume?.errorCallback(imageId, true, reason);
        this.#frames.replan();
        this.#ended(imageId);
      }
    );
  }

  #wish(frame: string, level: number): FrameWish {
    return { frame, level, shape: { ...this.#shape(frame), full: sizeOf(this.#cornerstone, frame) } };
  }

  #shape(frame: string): Shape {
    const type = this.#volume!.dataType in ARRAYS ? (this.#volume!.dataType as ArrayName) : undefined;
    return { ...shapeOf(this.#cornerstone, frame), type };
  }

  #canLoad(imageId: string): boolean {
    return canLoad(this.#cornerstone, imageId) && this.#cornerstone.metaData.get('imagePixelModule', imageId)?.samplesPerPixel === 1;
  }

  /** What another viewport has loaded already. */
  #takeWhatIsThere(): void {
    for (const imageId of this.#imageIds) {
      const image = this.#cornerstone.cache.getImage(imageId);
      if (image && (image.imageQualityStatus ?? QUALITY.full) >= QUALITY.full && image.columns === sizeOf(this.#cornerstone, imageId).width) {
        this.#note(imageId, 0);
        this.#tell(imageId, image);
        continue;
      }
      // Another volume of the series has taken a level already: that picture is gone.
      const slice = this.#existing(imageId);
      if (slice?.level !== undefined) {
        this.#note(imageId, slice.level);
        this.#tell(imageId, slice.image);
        continue;
      }
      const best = this.#frames.best(imageId);
      if (best && this.#isRight(imageId, best)) this.#take(imageId, best);
    }
  }

  #take(imageId: string, picture: Picture): void {
    const slice = this.#slice(imageId);
    if (slice.level === undefined || slice.level > picture.level) this.#fill(slice, imageId, picture);
    this.#note(imageId, picture.level);
    slice.image.imageQualityStatus = picture.level === 0 ? QUALITY.full : QUALITY.reduced;
    if (picture.level === 0) this.#keep(imageId, slice.image);
    else this.#frames.cache.drop(imageId);
    this.#tell(imageId, slice.image);
    if (this.#covered.size < this.#imageIds.length) this.#filling ??= setTimeout(() => this.#fillGaps(), FILL_MS);
  }

  /** The slice's own buffer. */
  #slice(imageId: string): Slice {
    const there = this.#existing(imageId);
    if (there) return there;
    const { width, height } = sizeOf(this.#cornerstone, imageId);
    const values = new (ARRAYS[this.#volume!.dataType as ArrayName] ?? Float32Array)(width * height);
    const slice: Slice = { values, image: makeImage(this.#cornerstone, imageId, { values, width, height, min: 0, max: 0 }, QUALITY.far), level: undefined, regions: [] };
    SLICES.set(slice.image, slice);
    this.#cornerstone.cache.setPartialImage(imageId, slice.image);
    this.#volume!.voxelManager?.invalidateCache?.();
    return slice;
  }

  #existing(imageId: string): Slice | undefined {
    const image = this.#cornerstone.cache.getImage(imageId);
    return image && SLICES.get(image);
  }

  #fill(slice: Slice, imageId: string, { level, width, values, min, max }: Picture): void {
    const full = sizeOf(this.#cornerstone, imageId);
    if (width === full.width) slice.values.set(values);
    else expandInto(slice.values, full.width, full.height, values, width, level);
    [slice.image.minPixelValue, slice.image.maxPixelValue] = [min, max];
    slice.level = level;
    slice.regions = [];
  }

  /** Slices of which nothing has come have a neighbour's values: once for all that waits to be taken, and before it is drawn. */
  #fillGaps(): void {
    clearTimeout(this.#filling);
    this.#filling = undefined;
    const before = this.#covered.size;
    this.#imageIds.forEach((imageId, at) => {
      if (this.#told.has(imageId)) return;
      for (const [offset, quality] of NEIGHBOURS) {
        const neighbour = this.#imageIds[at + offset];
        if (neighbour === undefined || !this.#told.has(neighbour)) continue;
        const from = this.#existing(neighbour);
        if (from?.level !== undefined) return this.#standIn(imageId, from, quality);
      }
    });
    if (this.#covered.size === before) return;
    this.#reached = this.#stage();
    this.#redraw?.soon();
  }

  /** Unless something better is there. */
  #standIn(imageId: string, from: Slice, quality: number): void {
    const before = this.#existing(imageId);
    if (before && (before.level !== undefined || (before.image.imageQualityStatus ?? 0) >= quality)) return;
    const stand = before ?? this.#slice(imageId);
    stand.values.set(from.values);
    stand.image.imageQualityStatus = quality;
    this.#volume!.successCallback(imageId, stand.image);
    this.#covered.add(this.#place.get(imageId)!);
  }

  #keep(imageId: string, image: LoadedImage): void {
    const { cache, eventTarget, triggerEvent } = this.#cornerstone;
    cache.putImageLoadObject(imageId, { promise: Promise.resolve(image) }).catch(() => undefined);
    this.#frames.delivered(imageId, image);
    triggerEvent(eventTarget, 'CORNERSTONE_IMAGE_LOADED', { image });
  }

  #tell(imageId: string, image: LoadedImage): void {
    this.#volume!.successCallback(imageId, image);
    this.#covered.add(this.#place.get(imageId)!);
    if (image.imageQualityStatus === QUALITY.full) this.#ended(imageId);
    const reached = this.#stage();
    if (reached === 2) this.#redraw?.calm();
    const isLookedAt = this.#imageIds[this.#focus] === imageId && image.imageQualityStatus === QUALITY.full;
    if (reached > this.#reached || isLookedAt) this.#redraw?.now();
    else this.#redraw?.soon();
    this.#reached = reached;
  }

  /** What a user waits for, and is drawn at once: 1, something everywhere; 2, every slice at a level that is enough for the planes. */
  #stage(): number {
    const count = this.#imageIds.length;
    if (this.#reached === 2 || this.#covered.size < count) return this.#reached;
    return this.#told.size === count && this.#lacking().length === 0 ? 2 : 1;
  }

  /** It is full, or can't be had. */
  #ended(imageId: string): void {
    this.#over.add(imageId);
    if (this.#missing > 0) return;
    this.#redraw?.now();
    this.#frames.remove(this);
    this.#done?.();
  }

  /**
   * The panes to draw. One of which a part has not come is black, for its texture holds the value 0 there, which is white in many windows; who wants to
   * know why reads it beside the pane.
   */
  #veiled(): Pane[] {
    const all = this.#covered.size === this.#imageIds.length;
    const axis = Array.from(this.#volume!.direction).slice(6, 9);
    return this.#viewports().filter(({ viewport }) => {
      const normal = viewport.getCamera?.().viewPlaneNormal ?? axis;
      const along = Math.abs(normal.reduce((sum, value, n) => sum + value * (axis[n] ?? 0), 0)) > 0.99;
      const shown = all || (along && this.#covered.has(this.#focus));
      veil(viewport, !shown);
      return shown;
    });
  }

  #viewports(): Pane[] {
    const id = this.#volume?.volumeId;
    const engines = this.#cornerstone.getRenderingEngines() ?? [];
    return engines.flatMap(engine => engine.getViewports().filter(viewport => id !== undefined && viewport.getAllVolumeIds?.().includes(id)).map(viewport => ({ engine, viewport })));
  }

  /** The volume is told of this level of a slice. When nearly all have one, and when all have, what lacks most is found out. */
  #note(imageId: string, level: number): void {
    const isNew = !this.#told.has(imageId);
    this.#told.set(imageId, level);
    if (isNew && [UNDER_WAY, 0].includes(this.#untold())) this.#frames.replan();
  }

  #notice(imageId: string, { state }: StreamState): void {
    if ((state !== 'retrying' && state !== 'failed') || !this.#place.has(imageId) || this.#troubled.has(imageId)) return;
    this.#troubled.add(imageId);
    if (!this.#told.has(imageId)) this.#frames.replan();
  }

  /** Slices of which nothing of their own has come, and nothing is known to be wrong. */
  #untold(): number {
    return this.#imageIds.filter(imageId => !this.#told.has(imageId) && !this.#troubled.has(imageId)).length;
  }

  /** Slices that are not full yet, and may become so. */
  get #missing(): number {
    return this.#imageIds.length - this.#over.size;
  }

  #areNearlyAllTold(): boolean {
    return this.#untold() <= UNDER_WAY;
  }

  /** The slices whose useful level is not enough for a plane that crosses them between its samples, and which of their pixels it shows. */
  #lacking(): { slice: number; region: Region; detail: Crossing['detail'] }[] {
    if (this.#useful === 0 || !this.#areNearlyAllTold()) return [];
    const slices = this.#imageIds.map(imageId => this.#existing(imageId));
    const likeness = (of: Crossing) => slices.map(slice => (!slice?.level ? 1 : covers(slice.regions, of.region) ? SKETCHED : likenessBetween(slice.values, of)));
    return this.#crossings().flatMap(of => leastLike(likeness(of), ALIKE, SKETCHED).map(slice => ({ slice, region: of.region, detail: of.detail })));
  }

  #crossings(): Crossing[] {
    const slice = { ...sizeOf(this.#cornerstone, this.#imageIds[0]!), direction: this.#volume!.direction, apart: 2 ** this.#useful };
    return this.#viewports().flatMap(({ viewport }) => {
      const { viewPlaneNormal: normal, focalPoint } = viewport.getCamera?.() ?? {};
      const window = viewport.getProperties?.().voiRange;
      const index = focalPoint && this.#volume!.imageData?.worldToIndex?.(focalPoint);
      return (normal && index && window && crossing(slice, { normal, index, window })) || [];
    });
  }

  /** Where the panes look, and which level is useful in the largest of them. */
  #look(): void {
    const count = this.#imageIds.length;
    const size = sizeOf(this.#cornerstone, this.#imageIds[0]!);
    const levels: FrameLevels = this.#frames.levels(this.#imageIds[0]!) ?? { ...size, ends: [1, 2, 3, 4, 5, 6] };
    const panes = this.#viewports().map(({ viewport }) => viewport);
    const side = Math.max(0, ...panes.map(({ canvas }) => Math.min(canvas?.width ?? 0, canvas?.height ?? 0))) || 400;
    const scale = side / Math.max(size.width, size.height);
    this.#useful = Math.min(2, usefulLevel(levels, { width: size.width * scale, height: size.height * scale }));
    const focal = panes.map(viewport => viewport.getCamera?.().focalPoint).find(point => point !== undefined);
    const index = focal && this.#volume?.imageData?.worldToIndex?.(focal)?.[2];
    this.#focus = Math.max(0, Math.min(count - 1, Math.round(index !== undefined && Number.isFinite(index) ? index : count / 2)));
    this.#veiled();
    this.#frames.replan();
  }
}

function veil({ canvas }: AnyViewport, hidden: boolean): void {
  if (canvas?.style) canvas.style.visibility = hidden ? 'hidden' : '';
}
