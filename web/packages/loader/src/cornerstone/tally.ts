/** What fetching ahead was good for: hits (a useful level was in memory when its index came) and bytes that nobody looked at. */
export interface TallyReading {
  hits: number;
  misses: number;
  /** Bytes fetched ahead, in all and of images that were not looked at. */
  ahead: number;
  wasted: number;
}

export class Tally {
  readonly #unseen = new Map<string, number>();
  #hits = 0;
  #misses = 0;
  #ahead = 0;

  /** An image was fetched before it was looked at; `bytes` of it are there now. */
  prefetched(imageId: string, bytes: number): void {
    this.#ahead += bytes - (this.#unseen.get(imageId) ?? 0);
    this.#unseen.set(imageId, bytes);
  }

  turned(imageId: string, here: boolean): void {
    here ? this.#hits++ : this.#misses++;
    this.#unseen.delete(imageId);
  }

  read(): TallyReading {
    const wasted = [...this.#unseen.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { hits: this.#hits, misses: this.#misses, ahead: this.#ahead, wasted };
  }
}
