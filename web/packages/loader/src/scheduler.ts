/**
 * Which frames are fetched, to which level, and which first. The list of wishes is replaced as a whole whenever the view changes: what is no longer
 * on it is aborted (its bytes are kept), what moved up comes next.
 */

/** A frame that can be told to go on or to stop: `FrameStream` is one. */
export interface Stream {
  want(level: number): void;
  pause(): void;
}

export interface Wish {
  /** Names the frame. */
  frame: string;
  level: number;
}

export interface SchedulerOptions {
  /** The stream of a frame; made once for each. */
  open(frame: string, ended: () => void): Stream;
  /** Whether a frame has this level, or a finer one. */
  has(frame: string, level: number): boolean;
  /** Requests at once. */
  concurrency(): number;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #streams = new Map<string, Stream>();
  readonly #active = new Map<string, number>();
  #wishes: readonly Wish[] = [];

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Frames that are being fetched. */
  get active(): ReadonlyMap<string, number> {
    return this.#active;
  }

  /** From now on this is wanted, in this order. A frame may stand in it more than once, with finer levels later. */
  want(wishes: readonly Wish[]): void {
    this.#wishes = wishes;
    this.#fill();
  }

  /** There is room for more. */
  refill(): void {
    this.#fill();
  }

  /** Forgets a frame: its stream is let go. */
  forget(frame: string): void {
    if (this.#active.delete(frame)) this.#streams.get(frame)?.pause();
    this.#streams.delete(frame);
    this.#fill();
  }

  /** A stream reached what was wanted, or failed. */
  #ended(frame: string): void {
    if (this.#active.delete(frame)) this.#fill();
  }

  #fill(): void {
    const most = this.#options.concurrency();
    const next = new Map<string, number>();
    for (const { frame, level } of this.#wishes) {
      if (next.size >= most) break;
      if (!next.has(frame) && !this.#options.has(frame, level)) next.set(frame, level);
    }
    for (const [frame] of this.#active) {
      if (next.has(frame)) continue;
      this.#active.delete(frame);
      this.#streams.get(frame)?.pause();
    }
    for (const [frame, level] of next) {
      if (this.#active.get(frame) === level) continue;
      this.#active.set(frame, level);
      this.#stream(frame).want(level);
    }
  }

  #stream(frame: string): Stream {
    let stream = this.#streams.get(frame);
    if (!stream) this.#streams.set(frame, (stream = this.#options.open(frame, () => this.#ended(frame))));
    return stream;
  }
}
