/**
 * Decoded images, bounded in bytes. What nobody wants goes first (full images before previews, far ones before near ones), then what is wanted last.
 */

export interface Held {
  /** Bytes of memory. */
  bytes: number;
  /** Resolution level; 0 is full. */
  level: number;
}

/** How much a frame is wanted: its place in the list of wishes, and how far it is from what is looked at. */
export interface Want {
  rank: number;
  far: number;
}

export const UNWANTED: Want = { rank: Infinity, far: Infinity };

export class LevelCache<Image extends Held> {
  readonly #images = new Map<string, Map<number, Image>>();
  readonly #limit: number;
  readonly #onEvicted: ((frame: string) => void) | undefined;
  #bytes = 0;
  want: (frame: string) => Want = () => UNWANTED;

  /** `onEvicted` is told of each frame of which an image was let go to make room. */
  constructor(limit: number, onEvicted?: (frame: string) => void) {
    this.#limit = limit;
    this.#onEvicted = onEvicted;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The finest image of a frame. */
  best(frame: string): Image | undefined {
    const levels = this.#images.get(frame);
    return levels && levels.get(Math.min(...levels.keys()));
  }

  has(frame: string, level: number): boolean {
    return this.#images.get(frame)?.has(level) ?? false;
  }

  /** The frames of which something is held. */
  frames(): string[] {
    return [...this.#images.keys()];
  }

  /** Keeps an image, and lets others go until all fit. One that is larger than the whole bound is kept alone: what is on the screen must be somewhere. */
  put(frame: string, image: Image): void {
    const levels = this.#images.get(frame) ?? new Map<number, Image>();
    this.#images.set(frame, levels);
    this.#bytes += image.bytes - (levels.get(image.level)?.bytes ?? 0);
    levels.set(image.level, image);
    if (this.#bytes > this.#limit) this.#letGo(frame, image.level);
  }

  /** Lets the images of a frame go. */
  drop(frame: string): void {
    for (const { bytes } of this.#images.get(frame)?.values() ?? []) this.#bytes -= bytes;
    this.#images.delete(frame);
  }

  clear(): void {
    this.#images.clear();
    this.#bytes = 0;
  }

  #letGo(keptFrame: string, keptLevel: number): void {
    const all = [...this.#images].flatMap(([frame, levels]) => {
      const want = this.want(frame);
      const finest = Math.min(...levels.keys());
      // A preview beside its full image is of no use to who wants the frame.
      return [...levels.values()].map(image => ({ frame, image, ...(image.level === finest ? want : UNWANTED) }));
    });
    all.sort((a, b) => (a.rank === b.rank ? a.image.level - b.image.level || b.far - a.far : b.rank - a.rank));
    for (const { frame, image } of all) {
      if (this.#bytes <= this.#limit) return;
      if (frame === keptFrame && image.level === keptLevel) continue;
      const levels = this.#images.get(frame)!;
      levels.delete(image.level);
      if (levels.size === 0) this.#images.delete(frame);
      this.#bytes -= image.bytes;
      this.#onEvicted?.(frame);
    }
  }
}
