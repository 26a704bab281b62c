/** How long it took from the opening of a study to its first image, be it first light's or the viewer's. */

const IMAGE = /^first-light \d+x\d+$/;

export class Opened {
  readonly #view: Window;
  /** The page itself may have been opened with a study. */
  #at = 0;
  #first: number | undefined;

  constructor(view: Window) {
    this.#view = view;
    view.addEventListener?.('CORNERSTONE_IMAGE_RENDERED', () => (this.#first ??= view.performance.now() - this.#at), true);
  }

  /** A study is opened now. */
  begin(): void {
    this.#at = this.#view.performance.now();
    this.#first = undefined;
  }

  /** Milliseconds; none while nothing is shown. */
  get first(): number | undefined {
    const marks = this.#view.performance.getEntriesByType('mark').filter(({ name, startTime }) => IMAGE.test(name) && startTime >= this.#at);
    const times = [...marks.map(({ startTime }) => startTime - this.#at), ...(this.#first === undefined ? [] : [this.#first])];
    return times.length === 0 ? undefined : Math.min(...times);
  }
}
