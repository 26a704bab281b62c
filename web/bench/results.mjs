/** Lines of JSON, one for each measurement: appended as they come, so that a run that was stopped goes on where it was. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';

/** Above this load nothing is measured. The one before has made some: it is waited for until that has gone, so long at most. */
const LOAD = 3;
const QUIET = 2.2;
const PATIENCE_MS = 120_000;

export class Results {
  #file;
  #rows = [];

  constructor(file, anew) {
    this.#file = file;
    mkdirSync(dirname(file), { recursive: true });
    if (anew) rmSync(file, { force: true });
    if (existsSync(file)) this.#rows = readFileSync(file, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line));
  }

  /** The rows that count: of a machine that was not busy with other things, and of attempts that came to an end. */
  get rows() {
    return this.#rows.filter(row => !row.void);
  }

  /** Measures unless it is there already. What was measured beside too much load is kept as void, and measured once more. */
  async measure(key, body) {
    const is = row => Object.entries(key).every(([name, value]) => row[name] === value);
    if (this.rows.some(is)) return;
    for (let attempt = 0; attempt < 2 && !this.rows.some(is); attempt++) {
      await rest();
      const before = loadavg()[0];
      let row;
      try {
        row = { ...key, ...(await body()) };
      } catch (error) {
        row = { ...key, failed: error.message.split('\n')[0].slice(0, 200) };
      }
      row.load = +Math.max(before, loadavg()[0]).toFixed(2);
      // The browser and the two servers make a load of their own; what was there before they began is what counts.
      // What broke is tried once more, and stays to be tried by the next run.
      if (before > LOAD || row.failed) row.void = true;
      this.#rows.push(row);
      appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
      console.log(JSON.stringify({ ...row, steps: undefined }));
    }
  }
}

export const median = values => {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length === 0 ? undefined : sorted.length % 2 ? sorted[sorted.length >> 1] : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
};

async function rest() {
  for (const begun = Date.now(); loadavg()[0] > QUIET && Date.now() - begun < PATIENCE_MS; ) await new Promise(later => setTimeout(later, 1000));
}
