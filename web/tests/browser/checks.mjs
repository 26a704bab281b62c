/** Counts checks; each prints one line, and the closing line is `N passed, N failed[, N skipped]`. */
export class Checks {
  passed = 0;
  failed = 0;
  skipped = 0;

  /** A check: `truth` must be true. `detail` tells what was seen. */
  that(what, truth, detail = '') {
    const good = truth === true;
    good ? this.passed++ : this.failed++;
    console.log(`${good ? 'ok  ' : 'FAIL'} ${what}${detail === '' ? '' : `: ${detail}`}`);
    return good;
  }

  /** Words, with commas between them, of which the names of the parts that are run hold some; all are run without it. */
  only = '';

  /** What is done after each part, however it ended, so that it leaves nothing behind for the next. */
  after = async () => undefined;

  /** Runs a part, and tells how long it took; an exception in it is one failure and does not end the others. */
  async part(name, body) {
    if (!this.only.split(',').some(words => name.includes(words))) return;
    console.log(`\n-- ${name}`);
    const began = performance.now();
    try {
      await body();
    } catch (error) {
      this.that(name, false, [error.stack ?? error, error.cause].filter(Boolean).join('\n'));
    }
    await this.after();
    console.log(`   ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }

  skip(what, why) {
    this.skipped++;
    console.log(`skipped: ${what}: ${why}`);
  }

  close() {
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : '';
    console.log(`\n${this.passed} passed, ${this.failed} failed${skipped}`);
    return this.failed === 0 ? 0 : 1;
  }
}
