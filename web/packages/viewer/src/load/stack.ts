/** The pictures of a series, loaded as the view wants them: what is wanted, in order, goes to the loading worker. */
import { fittingLevel, outwards, ScrollPredictor, sideAt, usefulLevel, type FrameLevels, type Shown, type StreamState, type Wish } from '@firstlight/loader';
import type { Job } from '@firstlight/loader/loading';
import type { Picture } from '../dicom/picture.ts';
import { HERE } from '../here.ts';
import { Quiet } from './keep.ts';
import type { Want } from './images.ts';
import type { Image, Loading, LoadingClient } from './loading.ts';
import { formOf } from './native.ts';

/** Columns of the smallest picture that is worth showing in passing. */
const SMALLEST = 128;
/** The part of the line that scrolling may take. */
const LINE = 0.8;
/** Pictures that are fetched ahead of who scrolls. */
const AHEAD = 40;
/** How often that is thought over: the list that the worker has reaches farther. */
const PLAN_MS = 100;
/** Who has not turned to another picture for so long rests. */
const REST_MS = 450;
/** A level that is there so many seconds ahead of who scrolls is one that the line keeps up with: the next finer one is tried. */
const KEPT_UP_S = 0.25;

export interface StackListener {
  /** A finer image of this picture is there. */
  onImage(at: number): void;
  /** What a reader should know of this picture; empty when all is well again. */
  onTrouble(at: number, sentence: string): void;
}

/** A level of every picture, for who needs the whole series. */
interface Collection {
  level: number;
  got: Set<string>;
  take(at: number, image: Image): void;
}

export class Stack implements LoadingClient {
  #pictures: readonly Picture[];
  /** Names of the pictures' frames, and where each of them stands. */
  #keys: readonly string[] = [];
  #places = new Map<string, number>();
  readonly #loading: Loading;
  readonly #listener: StackListener;
  readonly #levels = new Map<string, FrameLevels>();
  readonly #failed = new Map<string, string>();
  readonly #retrying = new Set<string>();
  /** Frames whose full image is wanted although the device saves data. */
  readonly #forced = new Set<string>();
  readonly #predictor = new ScrollPredictor();
  readonly #quiet: Quiet;
  /** Of the wishes, by frame. */
  #ranks = new Map<string, number>();
  #collection: Collection | undefined;
  #at = 0;
  #shown: Shown = { width: 512, height: 512 };
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When a picture was turned to last, and when it was planned for. */
  #looked = 0;
  #planned = -Infinity;
  #closed = false;

  /** `first` holds what is known of levels before any byte of a codestream came. */
  constructor(pictures: readonly Picture[], loading: Loading, listener: StackListener, first?: ReadonlyMap<string, FrameLevels>) {
    [this.#pictures, this.#loading, this.#listener] = [pictures, loading, listener];
    this.#place();
    first?.forEach((levels, frame) => this.#levels.set(frame, levels));
    this.#quiet = new Quiet(() => this.#awaited(), sentence => listener.onTrouble(this.#at, sentence));
    loading.join(this);
  }

  get pictures(): readonly Picture[] {
    return this.#pictures;
  }

  /** The finest image of a picture that is in memory. */
  image(at: number): Image | undefined {
    return this.#loading.cache.best(this.#key(at));
  }

  failure(at: number): string | undefined {
    return this.#failed.get(this.#key(at));
  }

  /** The series turned out to have these pictures: what is there and on its way stays. */
  extend(pictures: readonly Picture[], at: number): void {
    this.#pictures = pictures;
    this.#at = at;
    this.#place();
  }

  /** Where levels end, by frame, as the server tells it. */
  know(ends: ReadonlyMap<string, readonly number[]>): void {
    for (const picture of this.#pictures) {
      const told = ends.get(keyOf(picture));
      if (told && !this.#levels.has(keyOf(picture))) this.#levels.set(keyOf(picture), { width: picture.columns, height: picture.rows, ends: told });
    }
  }

  /** This picture is looked at, and covers so many device pixels. */
  look(at: number, shown: Shown): void {
    // Who comes back to a picture that failed has it tried again.
    if (at !== this.#at && this.#failed.delete(this.#key(at))) this.#loading.forget([this.#key(at)]);
    [this.#at, this.#shown] = [at, shown];
    this.#predictor.at(at);
    this.#quiet.watch();
    this.#looked = performance.now();
    if (this.#predictor.speed === 0 || this.#looked - this.#planned >= PLAN_MS) this.#plan();
    this.#timer ??= setTimeout(() => this.#think(), PLAN_MS);
  }

  /** Plans again while pictures pass; who rests gets the finer levels of what is on the screen, then of what lies around it. */
  #think(): void {
    const [now, rested] = [performance.now(), performance.now() - this.#looked];
    this.#timer = rested < REST_MS ? setTimeout(() => this.#think(), rested < PLAN_MS ? PLAN_MS : REST_MS - rested) : undefined;
    if (rested >= REST_MS || (this.#looked > this.#planned && now - this.#planned >= PLAN_MS)) this.#plan();
  }

  /** Wants a level of every picture, near ones first. */
  collect(level: number, take: (at: number, image: Image) => void): void {
    this.#collection = { level, got: new Set(), take };
    for (const [frame, at] of this.#places) {
      const image = this.#loading.cache.best(frame);
      if (image && image.level <= level) this.#give(frame, at, image);
    }
    this.#plan();
  }

  /** Nobody needs the whole series any more. */
  endCollection(): void {
    this.#collection = undefined;
    this.#plan();
  }

  /** Tries again what failed, and what waits for its next try. */
  retry(): void {
    this.#failed.clear();
    this.#loading.retry();
    this.#plan();
  }

  close(): void {
    this.#closed = true;
    this.#quiet.close();
    clearTimeout(this.#timer);
    this.#loading.leave(this, [...this.#places.keys()]);
  }

  /** Something is to be measured on the picture on the screen. */
  wantFull(): void {
    this.#forced.add(this.#key(this.#at));
    this.#plan();
  }

  want(frame: string): Want | undefined {
    const at = this.#places.get(frame);
    return at === undefined ? undefined : { rank: this.#ranks.get(frame) ?? Infinity, far: Math.abs(at - this.#at) };
  }

  onImage(frame: string, image: Image, levels: FrameLevels | undefined): void {
    const at = this.#places.get(frame);
    if (at === undefined) return;
    if (levels) this.#levels.set(frame, levels);
    if (this.#collection && image.level <= this.#collection.level) this.#give(frame, at, image);
    this.#listener.onImage(at);
  }

  onState(frame: string, state: StreamState, levels: FrameLevels | undefined): void {
    const at = this.#places.get(frame);
    if (at === undefined) return;
    if (levels) this.#levels.set(frame, levels);
    if (state.state === 'failed') this.#failed.set(frame, state.reason);
    state.state === 'retrying' ? this.#retrying.add(frame) : this.#retrying.delete(frame);
    this.#listener.onTrouble(at, sentence(state));
  }

  /** Bytes there are of the picture on the screen, while an answer for it is awaited. */
  #awaited(): number | undefined {
    const frame = this.#key(this.#at);
    return this.#retrying.has(frame) ? undefined : this.#loading.received(frame);
  }

  #key(at: number): string {
    return this.#keys[at] ?? '';
  }

  #place(): void {
    this.#keys = this.#pictures.map(keyOf);
    this.#places = new Map(this.#keys.map((key, n) => [key, n]));
  }

  #plan(): void {
    if (this.#closed) return;
    this.#planned = performance.now();
    const count = this.#pictures.length;
    const { speed } = this.#predictor;
    const now = this.#at;
    const full: Wish = { frame: this.#key(now), level: 0 };
    const wishes = new Wishes(this.#loading.share);
    const add = (at: number, level: number) => wishes.add({ frame: this.#key(at), level }, bytesAt(this.#pictures[at]!, level));
    if (speed !== 0) this.#inPassing(speed, add);
    else {
      // A picture alone is wanted whole at once: each level shows as it passes, and one request brings them all.
      add(now, count === 1 && !saveData() ? 0 : this.#level(now, 0));
      add(now, this.#fitting(now));
      for (const n of this.#predictor.ahead(count, 1.5, AHEAD).slice(1)) add(n, this.#level(n, 0));
      // What is on the screen becomes full quality; the rest of the series a useful one, as far as memory goes.
      if (!saveData() || this.#forced.has(full.frame)) wishes.push(full);
      if (this.#collection) for (const wish of this.#collected()) wishes.push(wish);
      else if (!saveData()) for (const n of outwards(count, this.#at)) if (!add(n, this.#level(n, 0))) break;
    }
    this.#ranks = wishes.ranks;
    const lacking = wishes.list.filter(({ frame, level }) => !this.#failed.has(frame) && !this.#has(frame, level));
    this.#loading.plan(this, { jobs: lacking.map(wish => this.#job(wish, full.frame)), finish: speed !== 0 });
  }

  /**
   * What is under way ends before anything else: it is nearly there, and broken off it would be for nothing. Then come the pictures that can arrive
   * before they are passed, the next first; the one on the screen is among them where the line is that fast. Small
   * requests take little less time than larger ones, so what was measured of coarse levels says little of finer ones: they are tried.
   */
  #inPassing(velocity: number, add: (at: number, level: number) => unknown): void {
    const speed = Math.abs(velocity);
    const kept = this.image(this.#at + Math.sign(velocity) * Math.ceil(KEPT_UP_S * speed))?.level ?? Infinity;
    const level = (n: number) => {
      const [known, there] = [this.#level(n, speed), this.image(n)?.level ?? Infinity];
      // One request for each that passes: what is there in time is not made finer.
      return there <= known ? there : Math.max(this.#finest(n, speed), Math.min(known, kept - 1));
    };
    const passed = Math.floor((speed * (this.#loading.line.delay ?? 0)) / 1000);
    const ahead = this.#predictor.ahead(this.#pictures.length, 1.5, 2 * AHEAD).filter(n => (n - this.#at) * velocity >= 0).slice(0, AHEAD);
    for (const n of [...ahead.slice(passed), ...ahead.slice(0, passed)]) add(n, level(n));
  }

  /** Each level of the picture on the screen shows as it passes; of the others, what is wanted. */
  #job({ frame, level }: Wish, now: string): Job {
    const picture = this.#pictures[this.#places.get(frame)!]!;
    return { frame, level, url: frameUrl(picture), ...((frame !== now || picture.wholeOnly) && { worth: [] }), levels: this.#levels.get(frame), form: formOf(picture) };
  }

  #collected(): Wish[] {
    const { level, got } = this.#collection!;
    const missing = outwards(this.#pictures.length, this.#at).filter(n => !got.has(this.#key(n)));
    return missing.map(n => ({ frame: this.#key(n), level: this.#pictures[n]!.wholeOnly ? 0 : level }));
  }

  #give(frame: string, at: number, image: Image): void {
    const { got, take } = this.#collection!;
    if (got.has(frame)) return;
    got.add(frame);
    take(at, image);
  }

  /** The useful level; in passing, a coarser one that arrives in time, as far as the line is known. */
  #level(at: number, speed: number): number {
    const { throughput } = this.#loading.line;
    return this.#coarser(at, speed, this.#finest(at, speed), ({ ends }, level) => throughput !== undefined && ends.at(-1 - level)! * speed > LINE * throughput);
  }

  /** The useful level; in passing, a coarser one that this device decodes in time. */
  #finest(at: number, speed: number): number {
    const picture = this.#pictures[at]!;
    if (picture.wholeOnly) return 0;
    const { decoded } = this.#loading.budget;
    const useful = usefulLevel(this.#levels.get(this.#key(at)) ?? guess(picture), this.#shown);
    return this.#coarser(at, speed, useful, ({ width, height }, level) => sideAt(width, level) * sideAt(height, level) * speed > decoded);
  }

  #coarser(at: number, speed: number, from: number, late: (levels: FrameLevels, level: number) => boolean): number {
    const known = this.#levels.get(this.#key(at));
    let level = from;
    if (speed === 0 || !known || this.#pictures[at]!.wholeOnly) return level;
    while (level + 1 < known.ends.length && sideAt(known.width, level + 1) >= SMALLEST && late(known, level)) level++;
    return level;
  }

  #fitting(at: number): number {
    const picture = this.#pictures[at]!;
    return picture.wholeOnly ? 0 : fittingLevel(this.#levels.get(this.#key(at)) ?? guess(picture), this.#shown);
  }

  #has(frame: string, level: number): boolean {
    if (this.#collection?.got.has(frame) && level >= this.#collection.level) return true;
    const best = this.#loading.cache.best(frame);
    return best !== undefined && best.level <= Math.min(level, (this.#levels.get(frame)?.ends.length ?? 99) - 1);
  }
}

export const keyOf = (picture: Pick<Picture, 'instance' | 'frame'>): string => `${picture.instance}/${picture.frame}`;

export function frameUrl({ study, series, instance, frame }: Picture): string {
  return `${HERE}/dicom-web/studies/${study}/series/${series}/instances/${instance}/frames/${frame}`;
}

/** What a reader should know. */
function sentence(state: StreamState): string {
  if (state.state === 'failed') return `This image cannot be shown: ${state.reason}`;
  if (state.state !== 'retrying') return '';
  if (state.reason === 'signed in anew') return 'Signed out: sign in again in another tab, and it goes on here';
  return `${state.reason.charAt(0).toUpperCase()}${state.reason.slice(1)}, trying again in ${Math.ceil(state.inMs / 1000)} s`;
}

/** Levels as they will be: five decompositions, whose bytes do not matter yet. */
function guess({ columns, rows }: Picture): FrameLevels {
  return { width: columns, height: rows, ends: [1, 2, 3, 4, 5, 6] };
}

export function saveData(): boolean {
  return (navigator as Navigator & { connection?: { saveData?: boolean } }).connection?.saveData === true;
}

/** Bytes of memory of a picture at a level. */
const bytesAt = ({ columns, rows, samples, bitsAllocated }: Picture, level: number): number => (sideAt(columns, level) * sideAt(rows, level) * samples * Math.max(8, bitsAllocated)) / 8;

/** Wishes within a bound of memory: what would not fit beside those before it is not asked for, or it would be fetched again and again. */
class Wishes {
  readonly list: Wish[] = [];
  /** The place of each frame in the list, from 1. */
  readonly ranks = new Map<string, number>();
  readonly #counted = new Map<string, number>();
  #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  push(wish: Wish): void {
    this.list.push(wish);
    if (!this.ranks.has(wish.frame)) this.ranks.set(wish.frame, this.list.length);
  }

  /** Whether there was room; the first one always has it. */
  add(wish: Wish, bytes: number): boolean {
    const more = Math.max(0, bytes - (this.#counted.get(wish.frame) ?? 0));
    if (more > this.#room && this.list.length > 0) return false;
    this.#room -= more;
    this.#counted.set(wish.frame, Math.max(bytes, this.#counted.get(wish.frame) ?? 0));
    this.push(wish);
    return true;
  }
}
