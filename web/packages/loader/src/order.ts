/** In which order the slices of a series are wanted. */

/** Slice numbers from `focus` outwards, nearer ones first; ahead of a direction (1 or -1) first where two are as near. */
export function outwards(count: number, focus: number, direction: 1 | -1 = 1): number[] {
  const at = Math.min(Math.max(0, Math.round(focus)), Math.max(0, count - 1));
  const order: number[] = [];
  for (let distance = 0; order.length < count; distance++) {
    for (const slice of distance === 0 ? [at] : [at + direction * distance, at - direction * distance]) {
      if (slice >= 0 && slice < count) order.push(slice);
    }
  }
  return order;
}

/** A slice at a level. */
export interface Wanted {
  slice: number;
  level: number;
}

/**
 * A volume: the useful level of every slice before any slice is full, outwards from the slices looked at; then `lacking`, the slices of which that
 * level is not enough, and the others outwards. The first pass begins with every `stride`-th slice and the two ends, so that planes across the slices
 * have something everywhere soon.
 */
export function volumeOrder(count: number, focus: number, useful: number, { stride = 4, lacking = [] as readonly number[] } = {}): Wanted[] {
  const near = outwards(count, focus);
  const early = (slice: number) => slice % stride === focus % stride || slice === 0 || slice === count - 1;
  const coarse = [...near.filter(early), ...near.filter(slice => !early(slice))];
  const order = coarse.map(slice => ({ slice, level: useful }));
  if (useful === 0) return order;
  const full = new Set([...lacking, ...near]);
  return [...order, ...[...full].map(slice => ({ slice, level: 0 }))];
}

/** Who has not turned to another slice for so long rests. */
export const STILL_MS = 300;
/** Slices a second that a hand scrolls at most. */
const FASTEST = 120;

/** Where a user who scrolls will be: from the last steps, their direction and speed. */
export class ScrollPredictor {
  readonly #steps: { slice: number; at: number }[] = [];
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The slice under the index is this now. */
  at(slice: number): void {
    this.#steps.push({ slice, at: this.#now() });
    if (this.#steps.length > 8) this.#steps.shift();
  }

  /** Slices a second, negative towards the first; 0 when the user rests. */
  get speed(): number {
    const last = this.#steps.at(-1);
    if (!last || this.#now() - last.at > STILL_MS) return 0;
    const recent = this.#steps.filter(step => last.at - step.at <= 600);
    const first = recent[0]!;
    const elapsed = last.at - first.at;
    // A jump (the scroll bar) is no speed; many slices in one step of a page that was busy meanwhile are.
    const jump = (from: { slice: number; at: number }, to: { slice: number; at: number }) => Math.abs(to.slice - from.slice) > Math.max(8, ((to.at - from.at) / 1000) * FASTEST);
    if (elapsed <= 0 || recent.some((step, n) => n > 0 && jump(recent[n - 1]!, step))) return 0;
    return ((last.slice - first.slice) / elapsed) * 1000;
  }

  /** Slices worth having, the next first: ahead as far as `seconds` carry, a few behind for who turns round, both ways at rest. */
  ahead(count: number, seconds: number, most: number): number[] {
    const slice = this.#steps.at(-1)?.slice ?? 0;
    const speed = this.speed;
    if (speed === 0) return outwards(count, slice).slice(0, Math.min(most, 11));
    const direction = speed > 0 ? 1 : -1;
    const far = Math.max(4, Math.ceil(Math.abs(speed) * seconds));
    const order = [slice];
    for (let step = 1; step <= far; step++) {
      order.push(slice + direction * step);
      if (step <= far / 4) order.push(slice - direction * step);
    }
    return order.filter(n => n >= 0 && n < count).slice(0, most);
  }
}
