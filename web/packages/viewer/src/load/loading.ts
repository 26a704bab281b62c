/** What all stacks of a page share: the decoder, what is known of the line, and memory. */
import { DecoderPool } from '@firstlight/htj2k/pool';
import { simdIsThere, type HtImage } from '@firstlight/htj2k';
import { LineMeter } from '@firstlight/loader';
import { MODULE, SCALAR } from 'virtual:decoder';
import { ImageCache, UNWANTED, type Want } from './images.ts';
import { ownBudget } from './memory.ts';

export interface Image extends HtImage {
  bytes: number;
}

/** Says how much a stack wants a frame; `undefined` for frames that are not its own. */
export type Wanting = (frame: string) => Want | undefined;

export class Loading {
  readonly budget = ownBudget();
  readonly pool = new DecoderPool({ wasm: new URL(simdIsThere() ? MODULE : SCALAR, location.href).href, workers: this.budget.workers, recycleAt: this.budget.recycleAt });
  readonly meter = new LineMeter();
  readonly cache = new ImageCache<Image>(this.budget.images);
  readonly #stacks = new Set<Wanting>();

  constructor() {
    this.cache.want = frame => {
      let most = UNWANTED;
      for (const wanting of this.#stacks) {
        const want = wanting(frame);
        if (want && (want.rank < most.rank || (want.rank === most.rank && want.far < most.far))) most = want;
      }
      return most;
    };
  }

  /** Bytes of images that each stack on the screen may wish for: some are left for what was seen before. */
  get share(): number {
    return (0.75 * this.budget.images) / Math.max(1, this.#stacks.size);
  }

  /** A stack that is on the screen; gives how it says that it is no more. */
  join(wanting: Wanting): () => void {
    this.#stacks.add(wanting);
    return () => this.#stacks.delete(wanting);
  }
}
