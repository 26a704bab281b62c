/**
 * All frames that the viewports of a page want, over one line: each client (a stack, a volume, the first image) says what it wants now and what later;
 * one list of all goes to the loading worker. Pictures are kept within bounds until Cornerstone3D's own cache has the full image.
 */
import { LevelCache } from '../cache.ts';
import type { Begun, Decoders, Pauses, StreamState } from '../frame-stream.ts';
import { coarsest, endOf, type FrameLevels } from '../levels.ts';
import type { DecodeWhole } from '../loading/frame-loader.ts';
import type { FromLoader, Job, LineState, LoaderPort, RegionJob, ToLoader } from '../loading/messages.ts';
import type { Picture, PixelArray, Shape } from '../loading/picture.ts';
import { localPort } from '../loading/port.ts';
import type { LoadedImage } from './api.ts';

/** A frame at a level, and what is to be made of it. */
export interface FrameWish {
  frame: string;
  level: number;
  /** Coarser levels that are worth a picture as they pass. */
  worth?: readonly number[];
  /** Without it, samples as they are. */
  shape?: Shape;
}

/** Some rows or columns of a frame's full image. */
export type RegionWish = Omit<RegionJob, 'url'>;

export interface Wishes {
  /** What is looked at. */
  now: readonly FrameWish[];
  /** What may be looked at next. */
  later: readonly FrameWish[];
  /** Before both. */
  regions?: readonly RegionWish[];
}

export interface FramesClient {
  wishes(): Wishes;
  /** Whether it has taken this level of a frame, or a finer one, into buffers of its own. */
  holds?(imageId: string, level: number): boolean;
  /** How far a frame of its own is from what is looked at. */
  far?(imageId: string): number | undefined;
  onPicture(imageId: string, picture: Picture): void;
  /** Values of a region that was wished for; none where only the whole frame has them. */
  onRegion?(imageId: string, region: RegionJob['region'], values: PixelArray | undefined): void;
  onState(imageId: string, state: StreamState): void;
}

export interface FramesOptions {
  loader: LoaderPort;
  /** The decoder's module, for a loading worker. */
  wasm?: string | undefined;
  /** Sent with every request. */
  headers?: () => Record<string, string>;
  /** Makes a sign-in anew after a 401; whether it is worth another try. Without it: whether the headers have changed. */
  renew?: () => Promise<boolean>;
  /** Bytes of pictures that are kept beside Cornerstone3D's cache; 96 MiB without it. */
  memory?: number | undefined;
  /** Requests at once; 5 without it, for HTTP/1.1 has six connections. */
  requests?: number | undefined;
  pauses?: Partial<Pauses> | undefined;
}

const IDLE: StreamState = { state: 'idle' };
const NO_DECODERS: Decoders = {
  open: () => {
    throw new Error('a frame that was to come whole came by levels');
  },
};
const AS_IT_IS: Shape = { slope: 1, intercept: 0, bits: 16 };

export class Frames {
  readonly cache: LevelCache<Picture>;
  readonly #options: FramesOptions;
  readonly #clients = new Set<FramesClient>();
  readonly #levels = new Map<string, FrameLevels>();
  readonly #states = new Map<string, StreamState>();
  readonly #delivered = new Map<string, LoadedImage>();
  readonly #begun = new Map<string, Begun>();
  /** What each loader told of the line last. */
  readonly #received = new Map<LoaderPort, LineState>();
  /** Frames whose levels a loader has been told. */
  readonly #told = new Set<string>();
  /** The places of frames in the list of wishes. */
  #ranks = new Map<string, number>();
  /** Loads what the worker has no decoder for, and says which frames those are. */
  #whole: { loader: LoaderPort; is: (imageId: string) => boolean } | undefined;
  #planned = false;
  #sent = '';
  line: LineState = { throughput: undefined, delay: undefined, bytes: 0, open: 0 };
  /** Where the levels of a frame end, if somebody knows it before the frame itself tells. */
  source: (imageId: string) => FrameLevels | undefined = () => undefined;

  constructor(options: FramesOptions) {
    this.#options = options;
    this.cache = new LevelCache<Picture>(options.memory ?? 96 << 20, imageId => this.#evicted(imageId));
    this.cache.want = imageId => ({ rank: this.#ranks.get(imageId) ?? Infinity, far: this.#far(imageId) });
    options.loader.onMessage = message => this.#hear(message, options.loader);
    options.loader.post(this.#start);
  }

  /** Frames that come whole are decoded here, and by this. */
  decodeWhole(is: (imageId: string) => boolean, decode: DecodeWhole, fetching?: typeof fetch): void {
    const loader = localPort(NO_DECODERS, fetching, decode);
    loader.onMessage = message => this.#hear(message, loader);
    this.#whole = { loader, is };
    loader.post(this.#start);
  }

  add(client: FramesClient): void {
    this.#clients.add(client);
    this.replan();
  }

  remove(client: FramesClient): void {
    if (this.#clients.delete(client)) this.replan();
  }

  /** Asks every client anew what it wants; once for all that happens at a time. */
  replan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      const all = [...this.#clients].map(client => client.wishes());
      const wishes = inTurns(all);
      this.#ranks = new Map(wishes.map(({ frame }, n): [string, number] => [frame, n]).reverse());
      const jobs = wishes.map(wish => this.#job(wish));
      const headers = this.#headers();
      const whole = jobs.filter(({ frame }) => this.#whole?.is(frame));
      const regions = all.flatMap(each => each.regions ?? []).map(wish => ({ ...wish, url: urlOf(wish.frame) }));
      this.#options.loader.post({ type: 'want', jobs: whole.length > 0 ? jobs.filter(({ frame }) => !this.#whole?.is(frame)) : jobs, headers, ...(regions.length > 0 && { regions }) });
      this.#whole?.loader.post({ type: 'want', jobs: whole, headers });
    });
  }

  /** Whether this level of a frame, or a finer one, is in memory. */
  has(imageId: string, level: number): boolean {
    if (this.#delivered.has(imageId)) return true;
    for (const client of this.#clients) if (client.holds?.(imageId, level)) return true;
    const best = this.cache.best(imageId);
    const levels = this.levels(imageId);
    return best !== undefined && best.level <= Math.min(level, levels ? coarsest(levels) : level);
  }

  /** The finest picture in memory. */
  best(imageId: string): Picture | undefined {
    return this.cache.best(imageId);
  }

  levels(imageId: string): FrameLevels | undefined {
    const known = this.#levels.get(imageId) ?? this.source(imageId);
    if (known) this.know(imageId, known);
    return known;
  }

  know(imageId: string, levels: FrameLevels): void {
    if (!this.#levels.has(imageId)) this.#levels.set(imageId, levels);
  }

  /** Another part of the page has received the beginning of a frame. */
  begin(imageId: string, begun: Begun): void {
    this.#begun.set(imageId, begun);
  }

  state(imageId: string): StreamState {
    return this.#states.get(imageId) ?? IDLE;
  }

  /** What keeps any frame from coming, if something does. */
  get trouble(): StreamState | undefined {
    return [...this.#states.values()].find(({ state }) => state === 'retrying');
  }

  /** Cornerstone3D holds the full image now: nothing of it is kept here. */
  delivered(imageId: string, image: LoadedImage): void {
    this.#delivered.set(imageId, image);
    this.cache.drop(imageId);
  }

  /** The full image that Cornerstone3D holds. */
  full(imageId: string): LoadedImage | undefined {
    return this.#delivered.get(imageId);
  }

  /** Cornerstone3D let an image go. */
  removed(imageId: string): void {
    this.#delivered.delete(imageId);
    this.cache.drop(imageId);
    this.#forget([imageId]);
  }

  /** What came of a frame is of no use: it is given anew. */
  letGo(imageId: string): void {
    this.cache.drop(imageId);
    this.#post({ type: 'forget', frames: [imageId] });
  }

  /** Lets go of all that nobody wants: another study is opened. */
  clear(): void {
    const wanted = new Set(this.#wishes().map(wish => wish.frame));
    const known = new Set([...this.#states.keys(), ...this.#levels.keys(), ...this.#delivered.keys(), ...this.cache.frames()]);
    const frames = [...known].filter(frame => !wanted.has(frame));
    for (const frame of frames) {
      this.#states.delete(frame);
      this.#levels.delete(frame);
      this.#delivered.delete(frame);
      this.cache.drop(frame);
    }
    this.#forget(frames);
  }

  /** Tries again what failed. */
  retry(): void {
    this.#post({ type: 'retry' });
  }

  /** Bytes of the line that a level takes, as far as they are known. */
  bytesOf(imageId: string, level: number): number | undefined {
    const levels = this.levels(imageId);
    return levels && endOf(levels, Math.min(level, coarsest(levels)));
  }

  /** How many ms so many bytes would take, as far as the line is known. */
  time(bytes: number): number | undefined {
    const { throughput, delay } = this.line;
    return throughput === undefined ? undefined : (delay ?? 0) + (bytes / throughput) * 1000;
  }

  get #start(): ToLoader {
    const { wasm, requests = 5, pauses } = this.#options;
    return { type: 'start', wasm, requests, pauses };
  }

  #post(message: ToLoader): void {
    this.#options.loader.post(message);
    this.#whole?.loader.post(message);
  }

  #forget(frames: readonly string[]): void {
    for (const frame of frames) this.#told.delete(frame);
    this.#post({ type: 'forget', frames });
  }

  #wishes(): FrameWish[] {
    return inTurns([...this.#clients].map(client => client.wishes()));
  }

  #job({ frame, level, worth = [], shape = AS_IT_IS }: FrameWish): Job {
    const begun = this.#begun.get(frame);
    this.#begun.delete(frame);
    return { frame, level, worth, shape, begun, url: urlOf(frame), levels: this.#untold(frame) };
  }

  /** The levels of a frame, if its loader has not been told: a list of wishes is sent with each step of who scrolls. */
  #untold(frame: string): FrameLevels | undefined {
    const levels = this.#told.has(frame) ? undefined : this.levels(frame);
    if (levels) this.#told.add(frame);
    return levels;
  }

  #headers(): Record<string, string> {
    const headers = this.#options.headers?.() ?? {};
    this.#sent = JSON.stringify(headers);
    return headers;
  }

  #hear(message: FromLoader, from: LoaderPort): void {
    if (message.type === 'renew') {
      void this.#renew();
      return;
    }
    const { line } = message;
    this.#received.set(from, line);
    const sum = (of: 'bytes' | 'open') => [...this.#received.values()].reduce((all, each) => all + each[of], 0);
    this.line = { ...line, bytes: sum('bytes'), open: sum('open') };
    if (message.type === 'line' || message.type === 'image') return;
    if (message.type === 'region') {
      for (const client of this.#clients) client.onRegion?.(message.frame, message.region, message.values);
      return;
    }
    const { frame, levels } = message;
    if (levels) this.#levels.set(frame, levels);
    if (message.type === 'picture') {
      if (!this.#delivered.has(frame)) this.cache.put(frame, message.picture);
      for (const client of this.#clients) client.onPicture(frame, message.picture);
    } else {
      this.#states.set(frame, message.state);
      for (const client of this.#clients) client.onState(frame, message.state);
    }
  }

  async #renew(): Promise<void> {
    const before = this.#sent;
    const worked = await this.#options.renew?.().catch(() => false);
    const headers = this.#headers();
    this.#post({ type: 'renewed', worked: worked ?? this.#sent !== before, headers });
  }

  #far(imageId: string): number {
    return Math.min(...[...this.#clients].map(client => client.far?.(imageId) ?? Infinity));
  }

  #evicted(imageId: string): void {
    if (!this.cache.best(imageId)) this.#forget([imageId]);
  }
}

const inTurns = (all: readonly Wishes[]): FrameWish[] => [...byTurns(all.map(each => each.now)), ...byTurns(all.map(each => each.later))];

function urlOf(frame: string): string {
  const address = frame.slice(frame.indexOf(':') + 1);
  return address.startsWith('http') ? address : new URL(address, globalThis.document?.baseURI).href;
}

function byTurns(lists: readonly (readonly FrameWish[])[]): FrameWish[] {
  const turns: FrameWish[] = [];
  const longest = Math.max(0, ...lists.map(list => list.length));
  for (let n = 0; n < longest; n++) for (const list of lists) if (n < list.length) turns.push(list[n]!);
  return turns;
}
