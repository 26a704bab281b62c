/**
 * Draws the panes of a volume in batches: the next one waits for twice as long as drawing takes, so that loading has its share of the processor. Drawing
 * is over when the page is on the screen: without a graphics card that comes long after Cornerstone3D says that it has drawn.
 */
import type { AnyViewport } from './api.ts';

const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';
/** Of the time, drawing takes one part in so many. */
const SHARE = 3;
const [LEAST_MS, MOST_MS] = [120, 1600];
/** A pane that is not drawn within this time is hidden, and never will be. */
const HIDDEN_MS = 800;

export type Pane = { engine: { renderViewports(ids: string[]): void }; viewport: AnyViewport };

export class Redraw {
  readonly #panes: () => Pane[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #gap = LEAST_MS;
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
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const panes = this.#panes();
    const last = panes.at(-1);
    if (!last) return;
    const begun = (this.#begun = performance.now());
    const over = () => begun === this.#begun && this.#drawn();
    this.#drawing = true;
    last.viewport.element.addEventListener(RENDERED, () => onScreen(over), { once: true });
    this.#timer = setTimeout(over, HIDDEN_MS);
    for (const engine of new Set(panes.map(pane => pane.engine))) engine.renderViewports(panes.filter(pane => pane.engine === engine).map(({ viewport }) => viewport.id));
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
    this.#gap = Math.min(MOST_MS, Math.max(LEAST_MS, (this.#drawnAt - this.#begun) * (SHARE - 1)));
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
