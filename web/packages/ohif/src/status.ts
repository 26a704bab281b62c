/** What is known of the image in a viewport and of the line, in words for the overlay. */
import type { StreamState } from '@firstlight/loader';
import { sizeOf, type Cornerstone, type Frames } from '@firstlight/loader/cornerstone';
import type { Viewport } from './host.ts';

/** Time without a byte, while one is awaited, after which the line is told to stand still. */
const SILENCE_MS = 2500;

/** Watches the line: requests are open, and nothing comes. */
export class Silence {
  readonly #now: () => number;
  #bytes = -1;
  #since = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is to be said of a line in this state; asked now and then. */
  look({ bytes, open }: Frames['line']): string | undefined {
    if (open === 0 || bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#since = this.#now();
      return undefined;
    }
    const silent = this.#now() - this.#since;
    return silent < SILENCE_MS ? undefined : `nothing has come for ${Math.round(silent / 1000)} s, waiting for the server`;
  }
}

/** Why nothing comes, if that is so. */
export function trouble(viewport: Viewport, frames: Pick<Frames, 'state' | 'trouble'>, silent: string | undefined): string | undefined {
  const imageId = shownImage(viewport);
  const state = imageId === undefined ? frames.trouble : frames.state(imageId);
  return (state && inTrouble(state)) ?? silent;
}

/** How much there is, and how fast it comes. */
export function progress(viewport: Viewport, frames: Frames, cornerstone: Pick<Cornerstone, 'metaData'>): string {
  const imageId = shownImage(viewport);
  const { throughput } = frames.line;
  const rate = throughput === undefined ? [] : [`${((throughput * 8) / 1e6).toFixed(1)} Mbit/s`];
  if (imageId === undefined) return rate.join('');
  const size = sizeShown(viewport, imageId, cornerstone);
  const bytes = frames.bytesOf(imageId, 0);
  return [...(size ? [size] : []), ...(bytes === undefined ? [] : [`${(bytes / 1e6).toFixed(1)} MB`]), ...rate].join(' · ');
}

/** The size that is shown, of the size that there is. */
export function sizeShown(viewport: Viewport, imageId: string, cornerstone: Pick<Cornerstone, 'metaData'>): string | undefined {
  const image = viewport.getCornerstoneImage?.() as { columns?: number; rows?: number } | undefined;
  const { width, height } = sizeOf(cornerstone, imageId);
  return image?.columns && width ? `${image.columns} × ${image.rows} of ${width} × ${height}` : undefined;
}

/** The image of a stack; none of a volume. */
export const shownImage = (viewport: Viewport): string | undefined => (viewport.getAllVolumeIds ? undefined : viewport.getCurrentImageId?.());

function inTrouble(state: StreamState): string | undefined {
  if (state.state === 'retrying' && state.reason === 'signed in anew') return 'signed out: sign in again, in another tab too, and it goes on here';
  if (state.state === 'retrying') return `${state.reason}, trying again in ${Math.max(1, Math.round(state.inMs / 1000))} s`;
  return state.state === 'failed' ? state.reason : undefined;
}
