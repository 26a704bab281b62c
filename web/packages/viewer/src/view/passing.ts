/**
 * Pictures that pass: while one follows another quickly, the canvas has no more pixels than the level shown can fill, and as many as the device
 * again when it rests. A phone has ten times the pixels of a CT slice, and each of them would be painted for every picture.
 */

/** Steps that follow each other within this time are a passage, and without one for so long it rests. */
const REST_MS = 250;

export class Passing {
  readonly #rests: () => void;
  readonly #time: () => number;
  #last = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Device pixels for one of the canvas, while it passes. */
  #each = Infinity;

  constructor(rests: () => void, time: () => number = () => performance.now()) {
    [this.#rests, this.#time] = [rests, time];
  }

  /** Another picture is shown. */
  step(): void {
    const at = this.#time();
    const follows = at - this.#last < REST_MS;
    this.#last = at;
    if (!follows && !this.now) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rest(), REST_MS);
  }

  /** Whether pictures pass just now. */
  get now(): boolean {
    return this.#timer !== undefined;
  }

  /** Device pixels for a pixel of the canvas, where a texel (if there is a picture) covers so many: finer in passing, coarser only after a rest. */
  pixelsEach(texel: number | undefined): number {
    if (!this.now) return 1;
    this.#each = Math.min(this.#each, texel ?? Infinity);
    return Number.isFinite(this.#each) ? this.#each : 1;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #rest(): void {
    this.#timer = undefined;
    this.#each = Infinity;
    this.#rests();
  }
}
