/**
 * Draws the panes of a volume in batches: the next one waits for twice as long as drawing takes, so that loading has its share of the processor, and
 * for longer once what is seen is useful and only becomes finer. Drawing is over when the page is on the screen: without a graphics card that comes long after Cornerstone3D says that it has drawn.
 */
import type { AnyViewport } from './api.ts';

const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';
/** Of the time, drawing takes one part in so many: at first, and when only finer values come. */
const [SHARE, CALM_SHARE] = [3, 6];
/** The gap between two drawings. */
const [LEAST_MS, CALM_LEAST_MS, MOST_MS] = [120, 1200, 1600];
/** A pane that is not drawn within this time is hidden, and never will be. */
const HIDDEN_MS = 800;

export type Pane = { engine: { renderViewports(ids: string[]): void }; viewport: AnyViewport };

export class Redraw {
  readonly #panes: () => Pane[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #gap = LEAST_MS;
  #isCalm = false;
  #begun = 0;
  #drawnAt = 0;
  #drawing = false;
  #again: 'soon' | 'now' | undefined;
  #closed = false;

  constructor(panes: () => Pane[]) {
    this.#panes = panes;
  }

  /** Something has changed. */
  soon(): void {
    if (this.#closed) return;
    if (this.#drawing) this.#again ??= 'soon';
    else this.#timer ??= setTimeout(() => this.now(), Math.max(0, this.#drawnAt + this.#gap - performance.now()));
  }

  /** Draws, after what is being drawn. */
  now(): void {
    if (this.#drawing) this.#again = 'now';
    if (this.#drawing || this.#closed) return;
    const panes = this.#panes();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const last = panes.at(-1);
    if (!last) return;
    const begun = (this.#begun = performance.now());
    const over = () => begun === this.#begun && this.#drawn();
    this.#drawing = true;
    last.viewport.element.addEventListener(RENDERED, () => onScreen(over), { once: true });
    this.#timer = setTimeout(over, HIDDEN_MS);
    for (const engine of new Set(panes.map(pane => pane.engine))) engine.renderViewports(panes.filter(pane => pane.engine === engine).map(({ viewport }) => viewport.id));
  }

  /** What is seen is useful from now on. */
  calm(): void {
    this.#isCalm = true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #drawn(): void {
    if (!this.#drawing) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawing = false;
    this.#drawnAt = performance.now();
    const [least, share] = this.#isCalm ? [CALM_LEAST_MS, CALM_SHARE] : [LEAST_MS, SHARE];
    this.#gap = Math.min(MOST_MS, Math.max(least, (this.#drawnAt - this.#begun) * (share - 1)));
    const again = this.#again;
    this.#again = undefined;
    if (again) this[again]();
  }
}

/** The second frame from now begins when the first is on its way to the screen. */
function onScreen(then: () => void): void {
  const frame = globalThis.requestAnimationFrame ?? ((next: () => void) => setTimeout(next, 16));
  frame(() => frame(then));
}
