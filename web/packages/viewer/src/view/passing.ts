/**
 * Pictures that pass: while one follows another quickly, the canvas has no more pixels than the level shown can fill, and as many as the device
 * again when it rests. A phone has ten times the pixels of a CT slice, and each of them would be painted for every picture.
 */

/** Steps that follow each other within this time are a passage, and without one for so long it rests. */
const REST_MS = 250;
/** Pictures of a coarser level that pass in a row before the canvas has fewer pixels: making it anew takes longer than some pictures. */
export const IN_A_ROW = 16;

export class Passing {
  readonly #rests: () => void;
  readonly #time: () => number;
  #last = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Device pixels for one of the canvas, while it passes. */
  #each = Infinity;
  /** Texels of the last pictures in a row that were coarser than that. */
  #coarser: number[] = [];

  constructor(rests: () => void, time: () => number = () => performance.now()) {
    [this.#rests, this.#time] = [rests, time];
  }

  /** Another picture is shown. */
  step(): void {
    const at = this.#time();
    const follows = at - this.#last < REST_MS;
    this.#last = at;
    if (follows) this.#timer ??= setTimeout(() => this.#look(), REST_MS);
  }

  /** Whether pictures pass just now. */
  get now(): boolean {
    return this.#timer !== undefined;
  }

  /** Device pixels for a pixel of the canvas, where a texel (if there is a picture) covers so many: finer at once, coarser after some pictures. */
  pixelsEach(texel: number | undefined): number {
    if (!this.now) return 1;
    if (texel !== undefined) this.#fit(texel);
    return Number.isFinite(this.#each) ? this.#each : 1;
  }

  #fit(texel: number): void {
    if (texel > this.#each) this.#coarser.push(texel);
    else this.#coarser = [];
    if (texel > this.#each && this.#coarser.length < IN_A_ROW) return;
    this.#each = Math.min(texel, ...this.#coarser);
    this.#coarser = [];
  }

  #look(): void {
    const rested = this.#time() - this.#last;
    if (rested >= REST_MS) this.#rest();
    else this.#timer = setTimeout(() => this.#look(), REST_MS - rested);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #rest(): void {
    this.#timer = undefined;
    this.#each = Infinity;
    this.#coarser = [];
    this.#rests();
  }
}
