/**
 * Whether the page keeps up with who scrolls. A picture that was handed over and not drawn before the next slice came is one too many for the machine:
 * previews of the next slices that pass have half the columns and rows, which takes less to decode and to draw. At rest every picture is as fine as ever.
 */

/** So many slices pass coarser after one that was not drawn. */
const SLICES = 40;

export class Pace {
  #waits = false;
  #left = 0;

  /** A picture of the slice was handed over. */
  handed(): void {
    this.#waits = true;
  }

  /** It was drawn. */
  drawn(): void {
    this.#waits = false;
  }

  /** Another slice is wanted, in passing or after a pause. */
  turned(inPassing: boolean): void {
    if (this.#waits && inPassing) this.#left = SLICES;
    else if (this.#left > 0) this.#left--;
    this.#waits = false;
  }

  /** The page does not keep up. */
  get isBehind(): boolean {
    return this.#left > 0;
  }
}
