/**
 * Fetches and decodes what a page wants, away from it: a page that draws does not hold up the line. The page says what it wants in order; pictures and
 * states go back as they come.
 */
import type { HtImage } from '@firstlight/htj2k';
import { FrameStream, type Decoders, type Pauses } from '../frame-stream.ts';
import { coarsest, endOf, type FrameLevels } from '../levels.ts';
import { LineMeter } from '../line.ts';
import { Scheduler, type Wish } from '../scheduler.ts';
import type { FromLoader, Job, LineState, ToLoader } from './messages.ts';
import { pictureOf, valuesOf } from './picture.ts';
import { RegionLoader } from './region-loader.ts';

/** So much of the line is kept in requests: small frames end before the next is asked for. */
const AHEAD_S = 0.15;
/** Frames whose bytes are there may wait for the decoder while the line goes on with others: so many. */
const BACKLOG = 8;
/** A level that is coarser than those of worth is, while these are farther away than this. */
const SOON_MS = 250;
/** How often the page is told of the line while requests are open. */
const TOLD_MS = 500;

/** `form` is what the page told of the frame for this. */
export type DecodeWhole = (frame: string, bytes: Uint8Array, transferSyntax: string, form?: unknown) => Promise<HtImage>;

export interface FrameLoaderOptions {
  decoders: Decoders;
  /** Decodes frames of other transfer syntaxes, which come whole. */
  decodeWhole?: DecodeWhole | undefined;
  say(message: FromLoader, transfer: ArrayBuffer[]): void;
  fetch?: typeof fetch;
  /** Told of each decoded level before the page is; its samples are the page's afterwards. */
  onImage?: (frame: string, image: HtImage) => void;
}

export class FrameLoader {
  readonly #options: FrameLoaderOptions;
  readonly #meter = new LineMeter();
  readonly #scheduler: Scheduler;
  readonly #regions: RegionLoader;
  readonly #jobs = new Map<string, Job>();
  readonly #streams = new Map<string, FrameStream>();
  readonly #levels = new Map<string, FrameLevels>();
  readonly #forms = new Map<string, unknown>();
  /** The finest level that the page has of a frame. */
  readonly #given = new Map<string, number>();
  readonly #failed = new Set<string>();
  #headers: Record<string, string> = {};
  #requests = 5;
  #pauses: Partial<Pauses> | undefined;
  #accept: string | undefined;
  #bytes = 0;
  /** Requests that are open. */
  #asking = 0;
  #replanning = false;
  #order: readonly Job[] = [];
  /** What the page said last. */
  #wanted: readonly Job[] = [];
  #leads: readonly Job[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;
  #renewing: { promise: Promise<boolean>; settle(worked: boolean): void } | undefined;

  constructor(options: FrameLoaderOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler({
      open: (frame, ended) => this.#open(frame, ended),
      has: (frame, level) => this.#has(frame, level),
      concurrency: () => this.#room(),
    });
    this.#regions = new RegionLoader({
      open: length => options.decoders.openSparse?.(length) ?? Promise.reject(new Error('no decoder for regions')),
      begun: frame => this.#streams.get(frame)?.begun,
      fetch: (url, init) => this.#metered(url, init),
      onRegion: ({ frame, region, shape }, image) => {
        const values = image && valuesOf(image, shape);
        this.#options.say({ type: 'region', frame, region, values, line: this.#line() }, values ? [values.buffer as ArrayBuffer] : []);
      },
      onChange: () => this.#regions.size === 0 && this.#scheduler.want(this.#due()),
    });
  }

  hear(message: ToLoader): void {
    switch (message.type) {
      case 'start':
        this.#requests = message.requests;
        this.#pauses = message.pauses;
        this.#accept = message.accept;
        return;
      case 'want':
        this.#headers = message.headers;
        this.#regions.want(message.regions ?? []);
        this.#wanted = message.jobs;
        this.#leads = leftOf(this.#leads, message.jobs);
        return this.#plan(message.headers, message.finish);
      case 'forget':
        for (const frame of message.frames) message.keep ? this.#putAside(frame) : this.#forget(frame);
        return;
      case 'release':
        for (const frame of message.frames) this.#close(frame);
        return;
      case 'renewed':
        this.#headers = message.headers;
        this.#renewing?.settle(message.worked);
        this.#renewing = undefined;
        return;
      case 'retry':
        this.#failed.clear();
        // What waits for its next try has it now.
        for (const [frame, level] of this.#scheduler.active) {
          this.#streams.get(frame)?.pause();
          this.#streams.get(frame)?.want(level);
        }
        this.#scheduler.want(this.#due());
    }
  }

  /**
   * Frames that are known here to come first, before the page is free to say so. One goes before all else until the page wants it too; many of them until
   * the page wants several frames, whichever: it has an order of its own then.
   */
  lead(jobs: readonly Job[], headers: Record<string, string> = this.#headers): void {
    this.#leads = jobs;
    this.#plan(headers);
  }

  #plan(headers: Record<string, string>, finish = false): void {
    const begun = finish ? [...this.#scheduler.active].flatMap(([frame, level]) => (level > 0 ? [{ ...this.#jobs.get(frame)!, level }] : [])) : [];
    const jobs = [...this.#leads, ...begun, ...this.#wanted];
    this.#headers = headers;
    this.#order = jobs;
    // What a stream is under way for stays known, though it is not wanted now.
    for (const frame of this.#jobs.keys()) if (!this.#streams.has(frame)) this.#jobs.delete(frame);
    const seen = new Set<string>();
    for (const job of jobs) {
      if (!seen.has(job.frame)) this.#jobs.set(job.frame, job);
      seen.add(job.frame);
      if (job.levels && !this.#levels.has(job.frame)) this.#levels.set(job.frame, job.levels);
      if (job.form !== undefined) this.#forms.set(job.frame, job.form);
    }
    this.#replanning = !finish;
    this.#scheduler.want(this.#due());
    this.#replanning = false;
  }

  /** While regions are under way no frame becomes full: they are what a plane lacks. */
  #due(): Wish[] {
    const due = this.#regions.size > 0 ? this.#order.filter(({ level }) => level > 0) : this.#order;
    return due.map(({ frame, level }) => ({ frame, level }));
  }

  #has(frame: string, level: number): boolean {
    if (this.#failed.has(frame)) return true;
    const given = this.#given.get(frame);
    const levels = this.#levels.get(frame);
    return given !== undefined && given <= Math.min(level, levels ? coarsest(levels) : level);
  }

  /** Requests and frames that wait for the decoder. A request that is under way is not broken off because the line has become slower. */
  #room(): number {
    const decoding = Math.min(BACKLOG, Math.max(0, this.#scheduler.active.size - this.#asking));
    const requests = this.#concurrency();
    return decoding + (this.#replanning ? requests : Math.max(requests, this.#asking));
  }

  #concurrency(): number {
    const { throughput } = this.#meter;
    const next: number[] = [];
    for (const { frame, level } of this.#order) {
      if (next.length >= this.#requests) break;
      const levels = this.#levels.get(frame);
      if (levels && !this.#has(frame, level)) next.push(endOf(levels, Math.min(level, coarsest(levels))));
    }
    if (throughput === undefined || next.length === 0) return Math.min(this.#requests, 3);
    const mean = next.reduce((sum, bytes) => sum + bytes, 0) / next.length;
    const within = throughput * (AHEAD_S + (this.#meter.delay ?? 0) / 1000);
    return Math.max(2, Math.min(this.#requests, Math.ceil(within / mean)));
  }

  #open(frame: string, ended: () => void): FrameStream {
    const stream: FrameStream = new FrameStream({
      url: this.#jobs.get(frame)!.url,
      ...(this.#accept && { accept: this.#accept }),
      decoders: this.#options.decoders,
      levels: this.#levels.get(frame),
      begun: this.#jobs.get(frame)!.begun,
      meter: { begin: () => this.#reading() },
      fetch: (input, init) => (this.#options.fetch ?? fetch)(input, { ...init, headers: { ...this.#headers, ...(init?.headers as Record<string, string>) } }),
      renew: () => this.#renew(),
      decodeWhole: (bytes, syntax) => this.#options.decodeWhole?.(frame, bytes, syntax, this.#forms.get(frame)) ?? Promise.reject(new Error(`no decoder for transfer syntax ${syntax}`)),
      ...(this.#pauses && { pauses: this.#pauses }),
      worth: level => this.#worth(frame, level, stream.levels),
      onImage: image => {
        if (stream.levels) this.#levels.set(frame, stream.levels);
        this.#options.onImage?.(frame, image);
        this.#given.set(frame, image.level);
        this.#give(frame, image, stream.levels);
      },
      onState: state => {
        if (stream.levels) this.#levels.set(frame, stream.levels);
        if (state.state === 'failed') this.#failed.add(frame);
        this.#options.say({ type: 'state', frame, state, levels: stream.levels, line: this.#line() }, []);
        if (state.state === 'complete' || state.state === 'failed') queueMicrotask(() => this.#close(frame));
        if (state.state === 'resting') queueMicrotask(ended);
      },
    });
    this.#streams.set(frame, stream);
    return stream;
  }

  #worth(frame: string, level: number, levels: FrameLevels | undefined): boolean {
    if (levels) this.#levels.set(frame, levels);
    const job = this.#jobs.get(frame);
    if (job && !job.worth) return true;
    const worth = job?.worth ?? [];
    const useful = Math.max(0, ...worth);
    if (level <= useful) return worth.includes(level);
    if (!levels || worth.length === 0 || this.#given.has(frame)) return false;
    const { throughput } = this.#meter;
    const missing = endOf(levels, Math.min(useful, coarsest(levels))) - endOf(levels, level);
    return throughput !== undefined && (missing / throughput) * 1000 > SOON_MS;
  }

  #give(frame: string, image: HtImage, levels: FrameLevels | undefined): void {
    const { shape } = this.#jobs.get(frame)!;
    const line = this.#line();
    if (!shape) return this.#options.say({ type: 'image', frame, image, levels, line, held: this.#options.decoders.heldBytes ?? 0 }, [image.samples.buffer as ArrayBuffer]);
    const picture = pictureOf(image, shape);
    this.#options.say({ type: 'picture', frame, picture, levels, line }, [picture.values.buffer as ArrayBuffer]);
  }

  /** A request of no stream, whose bytes are counted. */
  async #metered(url: string, init: RequestInit): Promise<Response> {
    const reading = this.#meter.begin();
    try {
      const response = await (this.#options.fetch ?? fetch)(url, { ...init, headers: { ...this.#headers, ...(init.headers as Record<string, string>) } });
      const body = await response.arrayBuffer();
      reading.received(body.byteLength);
      this.#bytes += body.byteLength;
      return new Response(body, { status: response.status, headers: response.headers });
    } finally {
      reading.end();
    }
  }

  #reading(): ReturnType<LineMeter['begin']> {
    const reading = this.#meter.begin();
    let open = true;
    this.#asking++;
    if (this.#telling === undefined) this.#tell();
    this.#tellSoon();
    return {
      received: bytes => {
        this.#bytes += bytes;
        reading.received(bytes);
      },
      end: () => {
        reading.end();
        if (!open) return;
        open = false;
        this.#asking--;
        queueMicrotask(() => this.#scheduler.refill());
      },
    };
  }

  #line(): LineState {
    return { throughput: this.#meter.throughput, delay: this.#meter.delay, bytes: this.#bytes, open: this.#asking };
  }

  #tellSoon(): void {
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      this.#tell();
      if (this.#asking > 0) this.#tellSoon();
    }, TOLD_MS);
  }

  #tell(): void {
    const underWay = new Map([...this.#scheduler.active.keys()].map(frame => [frame, this.#streams.get(frame)?.have ?? 0]));
    this.#options.say({ type: 'line', line: this.#line(), underWay }, []);
  }

  /** One question for all frames that were turned away. */
  #renew(): Promise<boolean> {
    if (!this.#renewing) {
      let settle: (worked: boolean) => void = () => undefined;
      const promise = new Promise<boolean>(resolve => (settle = resolve));
      this.#renewing = { promise, settle };
      this.#options.say({ type: 'renew' }, []);
    }
    return this.#renewing.promise;
  }

  /** What was given waits for the page to want it anew: given again at once, it would be let go at once. */
  #putAside(frame: string): void {
    const given = this.#given.get(frame);
    if (given === undefined) return;
    const stays = (job: Job) => job.frame !== frame || job.level < given;
    [this.#wanted, this.#order] = [this.#wanted.filter(stays), this.#order.filter(stays)];
    this.#given.delete(frame);
    this.#streams.get(frame)?.again();
    this.#scheduler.want(this.#due());
  }

  #forget(frame: string): void {
    this.#leads = this.#leads.filter(job => job.frame !== frame);
    for (const known of [this.#given, this.#failed, this.#levels, this.#forms]) known.delete(frame);
    this.#close(frame);
  }

  #close(frame: string): void {
    this.#streams.get(frame)?.close();
    this.#streams.delete(frame);
    this.#scheduler.forget(frame);
  }
}

/** What still leads beside what the page wants. */
function leftOf(leads: readonly Job[], wanted: readonly Job[]): readonly Job[] {
  if (leads.length === 0) return leads;
  const levels = new Map([...wanted].reverse().map(({ frame, level }) => [frame, level]));
  return levels.size > 1 && leads.length > 1 ? [] : leads.filter(({ frame, level }) => (levels.get(frame) ?? Infinity) > level);
}
