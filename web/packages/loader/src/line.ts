/**
 * What the line gives, measured from the requests themselves, and what can be asked of it.
 *
 * Bytes of requests that run at the same time share the line, so throughput is what all of them brought while any was bringing something. A request that
 * waits for its first byte takes nothing from the line: counted too, many small ones would make a fast line look slow, and ever smaller ones be asked for.
 */

/** Weight of a new reading against what was known. */
const WEIGHT = 0.3;
/** A reading needs so long, or it is rounding. */
const LEAST_MS = 40;

export class LineMeter {
  readonly #now: () => number;
  /** Requests of which bytes have come and more are to come. */
  #running = 0;
  #since = 0;
  #bytes = 0;
  #busy = 0;
  #throughput: number | undefined;
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
    return this.#throughput;
  }

  /** Milliseconds from a request to its first byte. */
  get delay(): number | undefined {
    return this.#delay;
  }

  /** How long so many bytes would take, the way there and back included; `undefined` while nothing is known. */
  time(bytes: number): number | undefined {
    if (this.#throughput === undefined) return undefined;
    return (this.#delay ?? 0) + (bytes / this.#throughput) * 1000;
  }

  /** Requests that keep the line full: what arrives in one delay, in frames of this size, and one more. */
  concurrency(bytesEach: number, most: number): number {
    if (this.#throughput === undefined || this.#delay === undefined) return Math.min(most, 3);
    const within = (this.#throughput * this.#delay) / 1000 / Math.max(1, bytesEach);
    return Math.max(2, Math.min(most, Math.ceil(within) + 1));
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
