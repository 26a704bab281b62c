/**
 * Some rows or columns of the full image, for a plane that crosses the frame between the samples of its level: of their code-blocks those are fetched that
 * hold what is new there, by their byte ranges (T.800 B.10: a packet header tells where each begins), a tenth of what the level takes.
 */
import type { HtFrame, HtImage } from '@firstlight/htj2k';
import type { Begun } from '../frame-stream.ts';
import type { RegionJob } from './messages.ts';

/** A frame whose bytes come in any order. */
export type SparseFrame = Pick<HtFrame, 'push' | 'put' | 'ranges' | 'decodeRegion' | 'close'>;

export interface RegionLoaderOptions {
  open(length: number): Promise<SparseFrame>;
  /** What has come of the frame. */
  begun(frame: string): Begun | undefined;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** The samples of the region; none where it can't be had so. */
  onRegion(job: RegionJob, image: HtImage | undefined): void;
  /** One fewer is under way. */
  onChange(): void;
  /** Milliseconds that a piece may take. */
  patience?: number | undefined;
}

/** Frames at once: each asks for some ranges one after the other. */
const AT_ONCE = 5;
/** A piece is some ten kilobytes: one that takes longer is on a line that stands still, and the frame's own stream says so. */
const PATIENCE_MS = 3000;
/** Pieces of packet headers that may be asked for. */
const HEADERS = 4;

export class RegionLoader {
  readonly #options: RegionLoaderOptions;
  #waiting: readonly RegionJob[] = [];
  /** Under way, by key. */
  readonly #open = new Map<string, AbortController>();
  /** What came, or can't be had. */
  readonly #done = new Set<string>();

  constructor(options: RegionLoaderOptions) {
    this.#options = options;
  }

  /** Frames that are under way. */
  get size(): number {
    return this.#open.size;
  }

  /** From now on these are wanted, in this order. */
  want(jobs: readonly RegionJob[]): void {
    const wanted = new Map(jobs.map(job => [keyOf(job), job]));
    for (const [key, abort] of this.#open) {
      if (wanted.has(key)) continue;
      abort.abort();
      this.#open.delete(key);
    }
    for (const key of this.#done) if (!wanted.has(key)) this.#done.delete(key);
    this.#waiting = [...wanted].flatMap(([key, job]) => (this.#done.has(key) || this.#open.has(key) ? [] : [job]));
    this.#fill();
  }

  #fill(): void {
    while (this.#open.size < AT_ONCE && this.#waiting.length > 0) {
      const [job, ...rest] = this.#waiting as [RegionJob, ...RegionJob[]];
      this.#waiting = rest;
      const abort = new AbortController();
      this.#open.set(keyOf(job), abort);
      void this.#load(job, abort.signal)
        .catch((error: unknown) => {
          if ((error as Error | undefined)?.name === 'TimeoutError') this.#giveUp();
          return undefined;
        })
        .then(image => {
          if (this.#open.get(keyOf(job)) === abort) this.#open.delete(keyOf(job));
          if (!abort.signal.aborted) {
            this.#done.add(keyOf(job));
            this.#options.onRegion(job, image);
          }
          this.#fill();
          this.#options.onChange();
        });
    }
  }

  /** The line stands still: full frames wait no longer for those that have not begun. */
  #giveUp(): void {
    for (const job of this.#waiting) {
      this.#done.add(keyOf(job));
      this.#options.onRegion(job, undefined);
    }
    this.#waiting = [];
  }

  /** What fails is not tried again: the whole frame is on its way. */
  async #load(job: RegionJob, signal: AbortSignal): Promise<HtImage | undefined> {
    const { region, detail } = job;
    const begun = this.#options.begun(job.frame);
    if (!begun) return undefined;
    const frame = await this.#options.open(begun.length);
    try {
      frame.push(begun.bytes);
      const take = async ([start, end]: readonly [number, number]) => frame.put(start, await this.#piece(job, begun, start, end, signal));
      for (let header = 0; header <= HEADERS; header++) {
        const told = frame.ranges(region, { detail });
        if (!told) return undefined;
        if (told.ranges) {
          for (const range of told.ranges) await take(range);
          const image = frame.decodeRegion(region, { detail });
          return image.complete || detail !== 'all' ? { ...image, samples: image.samples.slice() } : undefined;
        }
        await take(told.first);
      }
      return undefined;
    } finally {
      frame.close();
    }
  }

  async #piece({ url }: RegionJob, { etag, length }: Begun, start: number, end: number, signal: AbortSignal): Promise<Uint8Array> {
    const headers: Record<string, string> = { Accept: 'application/octet-stream; transfer-syntax=*', Range: `bytes=${start}-${end - 1}`, ...(etag && { 'If-Range': etag }) };
    const response = await this.#options.fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(this.#options.patience ?? PATIENCE_MS)]), cache: 'no-store' });
    // Another object, or all of it: a mixture of two would be an image that never was.
    const told = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
    const isOther = !told || Number(told[1]) !== start || Number(told[3]) !== length || (etag && response.headers.get('ETag') !== etag);
    if (response.status !== 206 || isOther) throw new Error(`the server answered ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length !== end - start) throw new Error('another range than was asked for');
    return bytes;
  }
}

const keyOf = ({ frame, detail, region: { x, y, width, height } }: RegionJob): string => [frame, detail, x, y, width, height].join(' ');
