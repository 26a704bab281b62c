/**
 * What the line gives, measured from the requests themselves, and what can be asked of it.
 *
 * Bytes of requests that run at the same time share the line, so throughput is what all of them brought while any was bringing something. A request that
 * waits for its first byte takes nothing from the line: counted too, many small ones would make a fast line look slow, and ever smaller ones be asked for.
 * Still, a thread that decodes or waits for its turn reads late, and the line looks slower than it is: what came in half a second, it can bring.
 */

/** Weight of a new reading against what was known. */
const WEIGHT = 0.3;
/** A reading needs so long, or it is rounding. */
const LEAST_MS = 40;
/** So long is counted what comes, whatever else is done meanwhile. */
const COUNT_MS = 500;

export class LineMeter {
  readonly #now: () => number;
  /** Requests of which bytes have come and more are to come. */
  #running = 0;
  #since = 0;
  #bytes = 0;
  #busy = 0;
  #throughput: number | undefined;
  /** What came since when, and bytes a second of the last two counts. */
  #count: { since: number; bytes: number } | undefined;
  #counted: readonly [number, number] = [0, 0];
  #delay: number | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A request is sent; the answer is told to what comes back. */
  begin(): LineReading {
    const sent = this.#now();
    let state: 'waiting' | 'running' | 'over' = 'waiting';
    return {
      received: bytes => {
        // How long the first bytes were on their way is not known, unless others came meanwhile.
        if (this.#running > 0) this.#bytes += bytes;
        this.#came(bytes);
        this.#tick();
        if (state !== 'waiting') return;
        state = 'running';
        this.#running++;
        this.#delay = blend(this.#delay, this.#now() - sent);
      },
      end: () => {
        const was = state;
        state = 'over';
        if (was !== 'running') return;
        this.#tick();
        this.#running--;
        if (this.#running === 0) this.#read(LEAST_MS / 2);
      },
    };
  }

  /** Bytes a second; `undefined` while nothing is known. */
  get throughput(): number | undefined {
    const least = Math.max(...this.#counted);
    return least > 0 ? Math.max(this.#throughput ?? 0, least) : this.#throughput;
  }

  /** Milliseconds from a request to its first byte. */
  get delay(): number | undefined {
    return this.#delay;
  }

  /** How long so many bytes would take, the way there and back included; `undefined` while nothing is known. */
  time(bytes: number): number | undefined {
    const { throughput } = this;
    if (throughput === undefined) return undefined;
    return (this.#delay ?? 0) + (bytes / throughput) * 1000;
  }

  /** Requests that keep the line full: what arrives in one delay, in frames of this size, and one more. */
  concurrency(bytesEach: number, most: number): number {
    const { throughput } = this;
    if (throughput === undefined || this.#delay === undefined) return Math.min(most, 3);
    const within = (throughput * this.#delay) / 1000 / Math.max(1, bytesEach);
    return Math.max(2, Math.min(most, Math.ceil(within) + 1));
  }

  #came(bytes: number): void {
    const now = this.#now();
    const count = this.#count;
    // How long the first bytes were on their way is not known, and a pause is none of the line's.
    if (!count || now - count.since >= 4 * COUNT_MS) {
      this.#count = { since: now, bytes: 0 };
      return;
    }
    count.bytes += bytes;
    if (now - count.since < COUNT_MS) return;
    this.#counted = [this.#counted[1], (count.bytes / (now - count.since)) * 1000];
    this.#count = { since: now, bytes: 0 };
  }

  #tick(): void {
    const now = this.#now();
    if (this.#running > 0) this.#busy += now - this.#since;
    this.#since = now;
    this.#read(LEAST_MS);
  }

  #read(least: number): void {
    if (this.#busy < least || this.#bytes === 0) return;
    this.#throughput = blend(this.#throughput, (this.#bytes / this.#busy) * 1000);
    this.#bytes = this.#busy = 0;
  }
}

export interface LineReading {
  received(bytes: number): void;
  end(): void;
}

function blend(known: number | undefined, read: number): number {
  return known === undefined ? read : known + WEIGHT * (read - known);
}
