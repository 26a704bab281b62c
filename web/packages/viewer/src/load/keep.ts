/** What is kept of streams at rest, and when a reader is told that nothing comes. */

/** Names of what has to go, the farthest first, so that the rest is within `budget` bytes. */
export function keepWithin(budget: number, idle: readonly { frame: string; bytes: number; far: number }[]): string[] {
  let held = idle.reduce((sum, { bytes }) => sum + bytes, 0);
  const gone: string[] = [];
  for (const { frame, bytes } of [...idle].sort((a, b) => b.far - a.far)) {
    if (held <= budget) break;
    gone.push(frame);
    held -= bytes;
  }
  return gone;
}

/** Seconds without a byte after which a reader is told. */
const SILENCE = 2.5;

/** Watches the bytes of the picture on the screen, while it is awaited: a line that stands still is said, and taken back when it moves again. */
export class Quiet {
  readonly #bytes: () => number | undefined;
  readonly #tell: (sentence: string) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #have = -1;
  #since = 0;
  #told = false;

  constructor(bytes: () => number | undefined, tell: (sentence: string) => void) {
    [this.#bytes, this.#tell] = [bytes, tell];
  }

  watch(): void {
    this.#since = performance.now();
    this.#have = -1;
    this.#timer ??= setInterval(() => this.#look(), 500);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const have = this.#bytes();
    if (have === undefined) {
      this.#told = false;
      this.#have = -1;
      return;
    }
    if (have !== this.#have) {
      this.#have = have;
      this.#since = performance.now();
      if (this.#told) this.#say('');
      return;
    }
    const seconds = (performance.now() - this.#since) / 1000;
    if (seconds >= SILENCE) this.#say(`Nothing has come for ${Math.round(seconds)} s: waiting for the server`);
  }

  #say(sentence: string): void {
    this.#told = sentence !== '';
    this.#tell(sentence);
  }
}
