/**
 * One frame on its way: one request stays open and is decoded beside; it ends where the wanted level ends, and goes on from that byte when a finer
 * one is wanted. What fails is tried again with growing pauses, from the byte where it stopped. Every image given is a whole level.
 */
import type { HtImage } from '@firstlight/htj2k';
import { levelsOfCodestream } from './codestream.ts';
import { endOf, levelIn, type FrameLevels } from './levels.ts';
import type { LineMeter } from './line.ts';
import type { SparseFrame } from './loading/region-loader.ts';

/** Decodes codestreams: `DecoderPool` of `@firstlight/htj2k/pool` is one. */
export interface Decoders {
  /** Bytes of memory that decoding holds. */
  readonly heldBytes?: number;
  open(length: number): { push(bytes: Uint8Array): void; decode(level: number): Promise<HtImage>; close(): void };
  /** A frame whose bytes come in any order; without it, there is none. */
  openSparse?(length: number): Promise<SparseFrame>;
}

/** The beginning of a frame that was received before, by another stream. */
export interface Begun {
  bytes: Uint8Array;
  etag: string | undefined;
  /** Bytes of the whole frame. */
  length: number;
}

export interface FrameStreamOptions {
  /** The frame, `…/instances/{UID}/frames/{n}`. */
  url: string;
  decoders: Decoders;
  /** What may come; without it, the frame as it is stored. */
  accept?: string;
  /** Where levels end, if it is known already; else the codestream tells. */
  levels?: FrameLevels | undefined;
  /** What has been received already. */
  begun?: Begun | undefined;
  meter?: Pick<LineMeter, 'begin'> | undefined;
  fetch?: typeof fetch;
  /** Makes a sign-in anew after a 401; whether it is worth another try. */
  renew?: () => Promise<boolean>;
  /** Decodes whole frames of other transfer syntaxes. */
  decodeWhole?: (bytes: Uint8Array, transferSyntax: string) => Promise<HtImage>;
  /** Whether a level is worth decoding as it passes; without it, each is. The wanted one is. */
  worth?: (level: number) => boolean;
  onImage(image: HtImage): void;
  onState?(state: StreamState): void;
  pauses?: Partial<Pauses>;
}

export interface Pauses {
  /** Milliseconds before the first new try; each further one waits twice as long. */
  first: number;
  most: number;
  /** Milliseconds without a byte after which a request counts as lost. */
  stalled: number;
}

/** Where it stands. Failures are states: nothing is locked or lost by one. */
export type StreamState =
  | { state: 'idle'; have?: number }
  | { state: 'receiving'; have: number }
  /** The wanted level is there; `have` bytes are kept for finer ones. */
  | { state: 'resting'; level: number; have: number }
  | { state: 'retrying'; inMs: number; reason: string }
  | { state: 'complete' }
  | { state: 'failed'; reason: string };

const ACCEPT = 'application/octet-stream; transfer-syntax=*';
const HTJ2K = /^1\.2\.840\.10008\.1\.2\.4\.20[123]$/;
const PAUSES: Pauses = { first: 500, most: 30_000, stalled: 10_000 };

/** The frame cannot be had, or not so: another try would end the same. */
class Permanent extends Error {}
/** What was received belongs to another object, or levels were wrong: begin anew. */
class StartAnew extends Error {}

export class FrameStream {
  readonly #options: FrameStreamOptions;
  readonly #pauses: Pauses;
  #levels: FrameLevels | undefined;
  #levelsAsked = false;
  #chunks: Uint8Array[] = [];
  #have = 0;
  #length: number | undefined;
  #etag: string | undefined;
  #syntax: string | undefined;
  #goal: number | undefined;
  #shown: number | undefined;
  /** The finest level that could not be decoded. */
  #broken: number | undefined;
  #abort: AbortController | undefined;
  #frame: ReturnType<Decoders['open']> | undefined;
  #pushed = 0;
  #decoding = false;
  #running = false;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(options: FrameStreamOptions) {
    this.#options = options;
    this.#pauses = { ...PAUSES, ...options.pauses };
    this.#levels = options.levels;
    if (!options.begun) return;
    const { bytes, etag, length } = options.begun;
    [this.#chunks, this.#have, this.#etag, this.#length] = [[bytes], bytes.length, etag, length];
  }

  /** What has been received so far, for another stream to go on from. */
  get begun(): Begun | undefined {
    return this.#have > 0 && this.#length !== undefined ? { bytes: this.#joined(this.#have), etag: this.#etag, length: this.#length } : undefined;
  }

  get levels(): FrameLevels | undefined {
    return this.#levels;
  }

  /** Bytes received and kept. */
  get have(): number {
    return this.#have;
  }

  /** The finest level given so far. */
  get shown(): number | undefined {
    return this.#shown;
  }

  /** Wants this level (0: the full image). A coarser wish than the one before lets what is under way end at its level. */
  want(level: number): void {
    if (this.#closed) return;
    this.#goal = level;
    if (this.#shown === undefined && this.#have > 0) this.#progress();
    if (this.#reached()) {
      this.#abort?.abort();
      this.#rest();
    } else if (!this.#running) {
      void this.#run();
    } else {
      this.#wake?.();
    }
  }

  /** Who took the images has let them go: what is wanted next is given again, from the bytes that are here. */
  again(): void {
    this.#shown = undefined;
  }

  /** Ends what is under way; what was received is kept, and `want` goes on from there. */
  pause(): void {
    this.#goal = undefined;
    this.#abort?.abort();
    this.#wake?.();
    this.#letGo();
    this.#tell({ state: 'idle', have: this.#have });
  }

  /** Ends all and lets go of everything. */
  close(): void {
    this.#closed = true;
    this.#goal = undefined;
    this.#abort?.abort();
    this.#wake?.();
    this.#letGo();
    this.#chunks = [];
    this.#have = 0;
  }

  async #run(): Promise<void> {
    this.#running = true;
    let pause = this.#pauses.first;
    try {
      while (this.#goal !== undefined && !this.#reached()) {
        const before = this.#have;
        try {
          await this.#receive();
          pause = this.#pauses.first;
        } catch (error) {
          if (this.#goal === undefined) return;
          if (this.#reached()) break;
          if (error instanceof StartAnew) this.#startAnew();
          else if (error instanceof Permanent) return this.#tell({ state: 'failed', reason: error.message });
          else if (!isAbort(error) || this.#abort?.signal.reason === 'stalled') {
            if (this.#have > before) pause = this.#pauses.first;
            const wait = Math.max(pause, retryAfter(error));
            this.#tell({ state: 'retrying', inMs: wait, reason: words(error) });
            await this.#sleep(wait);
            pause = Math.min(pause * 2, this.#pauses.most);
          }
        }
      }
      if (this.#goal !== undefined) this.#rest();
    } finally {
      this.#running = false;
    }
    // Something was wanted while this ended.
    if (this.#goal !== undefined && !this.#reached()) void this.#run();
  }

  /** One request, from the byte where the last one stopped to the end of the wanted level. */
  async #receive(): Promise<void> {
    const { url, meter } = this.#options;
    const abort = (this.#abort = new AbortController());
    const headers: Record<string, string> = { Accept: this.#options.accept ?? ACCEPT };
    const end = this.#levels && this.#goal! > 0 ? endOf(this.#levels, Math.min(this.#goal!, this.#levels.ends.length - 1)) : undefined;
    const ranged = this.#have > 0 || end !== undefined;
    if (ranged) headers.Range = `bytes=${this.#have}-${end === undefined ? '' : end - 1}`;
    if (ranged && this.#have > 0 && this.#etag) headers['If-Range'] = this.#etag;
    const reading = meter?.begin();
    // One timer for all pieces of an answer, of which a slow line makes many.
    let last = performance.now();
    const stalls = () => {
      const left = last + this.#pauses.stalled - performance.now();
      if (left <= 0) abort.abort('stalled');
      else timer = setTimeout(stalls, Math.ceil(left));
    };
    let timer = setTimeout(stalls, this.#pauses.stalled);
    try {
      // Browsers keep parts of a file in a cache that takes longer than the line.
      const response = await (this.#options.fetch ?? fetch)(url, { headers, signal: abort.signal, ...(ranged && { cache: 'no-store' as const }) });
      await this.#check(response, ranged);
      this.#tell({ state: 'receiving', have: this.#have });
      const body = response.body?.getReader();
      if (!body) throw new Error('an answer without a body');
      for (;;) {
        last = performance.now();
        const { done, value } = await body.read();
        if (done) break;
        reading?.received(value.length);
        this.#take(value);
        if (this.#reached()) {
          if (this.#have < (this.#length ?? 0)) abort.abort('enough');
          return;
        }
      }
      if (end === undefined && this.#length !== undefined && this.#have < this.#length) throw new Error('the connection ended early');
      if (end === undefined) this.#length ??= this.#have;
      this.#progress();
    } finally {
      clearTimeout(timer);
      reading?.end();
    }
  }

  /** Takes an answer for what was asked, and nothing else: a mixture of two objects would be an image that never was. */
  async #check(response: Response, ranged: boolean): Promise<void> {
    if (response.status === 401) {
      if (await this.#options.renew?.()) throw new Error('signed in anew');
      throw new Permanent('not signed in (401)');
    }
    if (response.status === 416) throw this.#have > 0 || this.#levels ? new StartAnew('other levels than were told (416)') : new Permanent('the frame is empty (416)');
    if (response.status === 429 || response.status >= 500) throw new Later(response);
    if (response.status !== 200 && response.status !== 206) throw new Permanent(await explanation(response));
    const etag = response.headers.get('ETag') ?? undefined;
    if (this.#have > 0 && this.#etag && etag && etag !== this.#etag) throw new StartAnew('the image changed');
    this.#etag = etag;
    this.#syntax = /transfer-syntax="?([\d.]+)/.exec(response.headers.get('Content-Type') ?? '')?.[1] ?? this.#syntax;
    if (response.status === 206) {
      const told = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
      if (!told || Number(told[1]) !== this.#have) throw new Permanent('another range than was asked for');
      this.#length = Number(told[3]);
    } else {
      if (ranged && this.#have > 0) this.#forget();
      const length = response.headers.get('Content-Length');
      if (length !== null && !response.headers.get('Content-Encoding')) this.#length = Number(length);
    }
  }

  #take(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#have += bytes.length;
    if (!this.#levels && !this.#levelsAsked && this.#isHtj2k()) {
      const levels = levelsOfCodestream(this.#joined(1 << 16));
      if (levels !== undefined || this.#have > 1 << 16) this.#levelsAsked = true;
      if (levels) this.#levels = levels;
    }
    this.#progress();
  }

  #isHtj2k(): boolean {
    return this.#syntax === undefined || HTJ2K.test(this.#syntax);
  }

  /** Decodes the finest level that is whole, unless that is shown already; one at a time, so that none is decoded which is out of date. */
  #progress(): void {
    if (this.#decoding || this.#closed) return;
    const level = this.#wholeLevel();
    if (level === undefined || (this.#shown !== undefined && level >= this.#shown)) return;
    // What could not be decoded once cannot be decoded from the same bytes again.
    if (this.#broken !== undefined && level >= this.#broken) return;
    if (!this.#reached() && this.#options.worth?.(level) === false) return;
    this.#decoding = true;
    void this.#decode(level)
      .then(image => {
        if (this.#closed) return;
        if (!image.complete && !this.#isWhole()) return this.#doubtLevels();
        this.#shown = level;
        this.#options.onImage(image);
      })
      .catch((error: unknown) => {
        this.#broken = level;
        this.#tell({ state: 'failed', reason: words(error) });
      })
      .finally(() => {
        this.#decoding = false;
        this.#progress();
        if (!this.#running) this.#rest();
      });
  }

  /** Levels end later than it was told, or the level would have been whole: what the codestream says of itself counts, and nothing if that was it. */
  #doubtLevels(): void {
    const told = this.#levels;
    const own = levelsOfCodestream(this.#joined(1 << 16)) ?? undefined;
    this.#levels = own && own.ends.join() !== told?.ends.join() ? own : undefined;
    this.#levelsAsked = true;
    if (!this.#running && this.#goal !== undefined && !this.#reached()) void this.#run();
  }

  #isWhole(): boolean {
    return this.#length !== undefined && this.#have >= this.#length;
  }

  #wholeLevel(): number | undefined {
    if (this.#isWhole()) return 0;
    return this.#levels && this.#isHtj2k() ? levelIn(this.#levels, this.#have) : undefined;
  }

  async #decode(level: number): Promise<HtImage> {
    if (!this.#isHtj2k()) {
      if (!this.#options.decodeWhole) throw new Error(`no decoder for transfer syntax ${this.#syntax}`);
      return this.#options.decodeWhole(this.#joined(this.#have), this.#syntax!);
    }
    this.#frame ??= this.#options.decoders.open(this.#length ?? this.#levels!.ends.at(-1)!);
    for (; this.#pushed < this.#chunks.length; this.#pushed++) this.#frame.push(this.#chunks[this.#pushed]!);
    return this.#frame.decode(level);
  }

  #joined(most: number): Uint8Array {
    if (this.#chunks.length === 1) return this.#chunks[0]!;
    const joined = new Uint8Array(Math.min(most, this.#have));
    let at = 0;
    for (const chunk of this.#chunks) {
      if (at >= joined.length) break;
      joined.set(chunk.subarray(0, joined.length - at), at);
      at += chunk.length;
    }
    return joined;
  }

  /** Whether the bytes of the wanted level are there. */
  #reached(): boolean {
    const level = this.#wholeLevel();
    return this.#goal !== undefined && level !== undefined && level <= Math.min(this.#goal, this.#levels ? this.#levels.ends.length - 1 : this.#goal);
  }

  #rest(): void {
    const level = this.#wholeLevel();
    if (level === undefined || this.#decoding || this.#shown !== level) return;
    this.#letGo();
    if (level === 0) this.#chunks = [];
    this.#tell(level === 0 ? { state: 'complete' } : { state: 'resting', level, have: this.#have });
  }

  /** The decoder's memory goes to others; the bytes stay here. */
  #letGo(): void {
    this.#frame?.close();
    this.#frame = undefined;
    this.#pushed = 0;
  }

  #forget(): void {
    this.#letGo();
    this.#chunks = [];
    this.#have = 0;
    this.#length = undefined;
    this.#shown = this.#broken = undefined;
  }

  #startAnew(): void {
    this.#forget();
    this.#etag = undefined;
    this.#levels = undefined;
    this.#levelsAsked = false;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #tell(state: StreamState): void {
    if (!this.#closed) this.#options.onState?.(state);
  }
}

/** The server is busy or ill: later it may not be. */
class Later extends Error {
  readonly ms: number;
  constructor(response: Response) {
    super(`the server answered ${response.status}`);
    const told = Number(response.headers.get('Retry-After'));
    this.ms = Number.isFinite(told) ? told * 1000 : 0;
  }
}

const retryAfter = (error: unknown): number => (error instanceof Later ? error.ms : 0);

function isAbort(error: unknown): boolean {
  return error === 'enough' || error === 'stalled' || (error instanceof DOMException && error.name === 'AbortError');
}

function words(error: unknown): string {
  if (error === 'stalled') return 'nothing came for a while';
  return error instanceof TypeError ? 'connection lost' : error instanceof Error ? error.message : String(error);
}

/** What the server says, if it is one short line. */
async function explanation(response: Response): Promise<string> {
  const text = (await response.text().catch(() => '')).trim().split('\n')[0] ?? '';
  return text.length > 0 && text.length < 200 && !text.startsWith('<') ? text : `the server answered ${response.status}`;
}
