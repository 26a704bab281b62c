/** Waits of the tests are for states, never for a time: a machine that is busy is late, not wrong. */

/** Milliseconds that a state may take to come. Only what is wrong takes so long; who works on a test may set fewer. */
export const PATIENCE = Number(process.env.FIRSTLIGHT_PATIENCE ?? 120_000);

export const pause = ms => new Promise(later => setTimeout(later, ms));

/** Looks until what is seen `holds`, and gives it; the error says what was seen last. */
export async function until(what, look, holds = Boolean, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > end) throw new Error(`${what} was never so: ${JSON.stringify(seen)}`);
    await pause(20);
  }
}

/** Looks until what is seen has been the same for so long: for checks that nothing more comes. What is late then is missed, never taken for wrong. */
export async function still(look, ms = 1500) {
  let [seen, since] = [await look(), Date.now()];
  while (Date.now() - since < ms) {
    await pause(50);
    const now = await look();
    if (JSON.stringify(now) !== JSON.stringify(seen)) [seen, since] = [now, Date.now()];
  }
  return seen;
}

/** The same promise, or `false` where it fails: what is asked after it says what was there. */
export const whether = promise => promise.then(() => true, () => false);

/** Bytes of a frame, its head among them, in the middle of the level after this one: the level is there then, and nothing finer. */
export const behind = (ends, level) => (ends.at(-1 - level) + ends.at(-level)) >> 1;
