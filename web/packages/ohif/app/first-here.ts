/** The first image of a study that is opened in the list, drawn by the page itself: for browsers in which no worker can (see first-picture.ts). */
import type { Samples } from '@firstlight/htj2k';
import type { Picture } from '@firstlight/loader/cornerstone';
import { watch } from '../first-light/handover.ts';
import { Overlay } from '../first-light/overlay.ts';
import { paint } from '../first-light/paint.ts';
import { plan, type First } from '../first-light/plan.ts';

export class FirstHere {
  readonly #view: Window;
  #overlay: Overlay | undefined;
  #end: (() => void) | undefined;
  /** The opening that is over: its finer levels are the viewer's. */
  #over: First | undefined;

  constructor(view: Window) {
    this.#view = view;
  }

  /** `picture` is a level of the first image of the study that was just opened. */
  show(first: First, picture: Picture): void {
    if (this.#over === first) return;
    const { innerWidth: width, innerHeight: height, document } = this.#view;
    const wanted = plan(first, '', { width, height });
    if (wanted?.kind !== 'level') return;
    this.#end ??= watch(this.#view, { onLook: () => this.#overlay?.place(), onFailure: () => undefined, onShown: () => this.#close(first) });
    this.#overlay ??= new Overlay(document, wanted.words);
    // The values are rescaled already.
    const described = { ...wanted.picture, slope: 1, intercept: 0 };
    const image = { ...picture, samples: picture.values as Samples, precision: 16, signed: false, complete: true, need: undefined };
    this.#overlay.draw(new ImageData(paint(described, image), picture.width, picture.height));
  }

  /** The viewer shows its own, or the study was left. */
  #close(first: First): void {
    this.#over = first;
    this.#end?.();
    this.#overlay?.fade();
    this.#end = this.#overlay = undefined;
  }
}
