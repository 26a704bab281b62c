/**
 * From the click in the list to a useful and to the complete picture: radiographs, a CT in MPR, and the slice that a user jumps to.
 *
 * The application is loaded and warmed with a small study at full speed; then the line is made slow, the caches of images are emptied and a study is
 * opened within the application, as a click in the list does. Sites are by turns within each run.
 */
import { ShapingProxy } from '../tests/shaping-proxy.mjs';
import { likeness } from '../tests/likeness.mjs';
import { record } from './record.mjs';
import { Screencast } from '../tests/screencast.mjs';

/** Mbit/s, and ms there and back. */
export const LINES = { '4g': [30, 10], slow4g: [4, 80], '3g': [1.6, 150] };
/** What Cornerstone3D tells of a slice: values of its own, and all of them. */
const [OWN, FULL] = [6, 8];
export const OPEN_LINE = [10_000, 0];
/** Longest wait on the slow line, in ms; then it is opened wide, so that the last picture is known. */
const PATIENCE = 150_000;
export const epoch = () => performance.timeOrigin + performance.now();

/** A page of the application behind a line of its own. */
export class Desk {
  static async open(browser, site, path = '/viewer/', script = `(${record})(${likeness})`) {
    const desk = new Desk();
    desk.site = site;
    desk.browser = browser;
    desk.line = new ShapingProxy({ port: site.port, mbit: OPEN_LINE[0], delay: OPEN_LINE[1] });
    desk.url = `http://127.0.0.1:${await desk.line.listen()}`;
    desk.context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
    await desk.context.addInitScript(script);
    desk.page = await desk.context.newPage();
    desk.troubles = [];
    desk.page.on('pageerror', error => desk.troubles.push(error.message.slice(0, 160)));
    desk.devtools = await desk.context.newCDPSession(desk.page);
    await desk.page.goto(`${desk.url}${path}`, { waitUntil: 'commit' });
    return desk;
  }

  /** Loads the application and shows one small image. */
  async warm() {
    await this.page.waitForSelector('table', { timeout: 90_000 });
    await this.go(`/viewer/viewer?StudyInstanceUIDs=${this.site.series.warm.study}`);
    await this.page.waitForFunction(() => globalThis.seen.shows.length > 0, null, { timeout: 90_000 });
    await this.page.waitForTimeout(1500);
    await this.go('/viewer/');
    await this.page.waitForTimeout(700);
  }

  /** Another page of the application, as a link within it does; gives the time of the click. */
  go(path) {
    return this.page.evaluate(to => {
      const at = performance.timeOrigin + performance.now();
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
      return at;
    }, path);
  }

  until(test, ms) {
    return this.page.waitForFunction(test, null, { timeout: Math.max(ms, 1), polling: 50 }).then(() => true, () => false);
  }

  async close() {
    await this.context.close();
    this.line.close();
  }
}

/** One opening of `series`: `kind` is image, jump or volume. */
export async function opening(desk, speed, kind, series) {
  const { page, line } = desk;
  const volume = kind === 'volume';
  await page.evaluate(() => {
    globalThis.cornerstone.cache.purgeCache();
    // Ours keeps what it knows of studies, too.
    globalThis.firstlight?.forget();
  });
  await desk.devtools.send('Network.clearBrowserCache');
  await page.evaluate(every => globalThis.forget(every), volume ? { '4g': 150, slow4g: 500, '3g': 1000 }[speed] : 0);
  desk.troubles.length = 0;
  const cast = kind === 'image' ? await Screencast.start(desk.devtools) : undefined;
  line.shape(...LINES[speed]);
  const before = line.bytes;
  line.frames.length = 0;
  const start = await desk.go(`/viewer/viewer?StudyInstanceUIDs=${series.study}${volume ? '&hangingprotocolId=mpr' : ''}`);
  const left = () => PATIENCE - (epoch() - start);
  await something(desk, volume ? () => seen.shows.some(each => each.any) : () => seen.shows.length > 0, left);
  if (cast) await page.waitForTimeout(300).then(() => cast.stop());
  const jump = kind === 'jump' ? await jumpTo(desk, series, left) : null;
  const complete = volume ? () => seen.shows.filter(each => each.slices && each.full === each.slices).length > 2 : () => seen.shows.some(each => each.quality === 8);
  const wide = !(await something(desk, complete, left));
  const cut = epoch();
  line.shape(...OPEN_LINE);
  if (wide) await desk.until(complete, 20_000);
  await page.waitForTimeout(volume ? 1500 : 300);
  await page.evaluate(() => globalThis.snap());
  const shows = await page.evaluate(() => globalThis.report());
  const own = shows.filter(each => !each.final);
  if (cast) await asSeen(desk, cast, own);
  const first = line.frames[0]?.at;
  const moment = show => (show && !(wide && show.at > cut) ? { ms: Math.round(show.at - start), kB: Math.round((line.until(show.at) - before) / 1000), drawn: show.told && Math.round(show.told - start), ssim: +show.ssim.toFixed(3), columns: show.columns, full: show.full } : null);
  const row = { request: first && Math.round(first - start), ...(volume ? ofVolume(own, moment) : ofImage(own, moment, jump)) };
  if (jump) row.jump = jump.told(own);
  row.needed = volume ? neededOfVolume(own, await page.evaluate(() => globalThis.seen.paths), line, before) : neededBytes(series, row.useful, line, before);
  row.troubles = desk.troubles.slice(0, 2);
  await desk.go('/viewer/');
  await page.waitForTimeout(700);
  return row;
}

/**
 * What a worker drew over the page counts when the compositor showed it, and as it looked there, with all that lay over it. What a viewport drew counts
 * when it was drawn, which is earlier, and without what lies over it: in doubt the baselines have the better of it. The witness watches all alike.
 */
async function asSeen({ page, browser }, cast, shows) {
  shows.sort((a, b) => a.at - b.at);
  const over = shows.filter(each => each.over);
  const seen = await cast.judge(browser, over.map(each => each.at), await page.evaluate(() => globalThis.place()), await page.screenshot({ type: 'jpeg', quality: 90 }));
  for (const [n, show] of over.entries()) Object.assign(show, { told: show.at }, seen[n] ?? { ssim: 0 });
  shows.sort((a, b) => a.at - b.at);
}

/** Waits while the line brings something: what shows nothing though nothing more comes will show nothing. */
async function something(desk, test, left) {
  for (let bytes = -1; left() > 0 && bytes !== desk.line.bytes; ) {
    bytes = desk.line.bytes;
    if (await desk.until(test, Math.min(20_000, left()))) return true;
  }
  return false;
}

function ofImage(own, moment, jump) {
  const here = own.filter(each => !jump || each.index !== jump.index);
  const isUseful = each => (each.quality === 8 || each.share >= 0.25) && each.ssim >= 0.9;
  return {
    pixels: moment(here.find(each => each.lit)),
    useful: moment(here.find(isUseful)),
    complete: moment(here.find(each => each.quality === 8)),
    drawn: here[0]?.drawn && Math.round(here[0].drawn),
    steps: here.slice(0, 9).map(each => [Math.round(each.at), each.columns, each.quality, +each.share.toFixed(2), +each.ssim.toFixed(3)]),
  };
}

/** All panes together: a time is that of the last of them. */
function ofVolume(own, moment) {
  const panes = [...new Set(own.map(each => each.viewport))];
  const at = test => {
    const each = panes.map(pane => own.find(show => show.viewport === pane && test(show)));
    return each.some(show => !show) ? null : moment(each.sort((a, b) => b.at - a.at)[0]);
  };
  return { panes: panes.length, pixels: at(each => each.lit), useful: at(each => each.ssim >= 0.9), covered: at(each => each.any === each.slices), complete: at(each => each.full === each.slices) };
}

/**
 * kB on the line when the last byte had left that the first useful pictures of all panes show: of each slice what it shows of its own, so the level that it
 * has, or all of it; what it borrows from a neighbour is that one's.
 */
function neededOfVolume(own, paths, line, before) {
  const panes = [...new Set(own.map(each => each.viewport))];
  const shows = panes.map(pane => own.find(show => show.viewport === pane && show.ssim >= 0.9));
  if (shows.length === 0 || shows.some(show => !show)) return null;
  const ends = shows.flatMap(({ at, states }) =>
    states.map((state, n) => {
      const asked = line.frames.filter(({ path, range }) => path === paths[n] && (state >= FULL || (state >= OWN && /^\d+-\d+$/.test(range ?? ''))));
      return Math.max(0, ...asked.map(({ log }) => log.at(-1)?.[0] ?? 0).filter(end => end <= at));
    })
  );
  return { kB: Math.round((line.until(Math.max(...ends)) - before) / 1000) };
}

/** A second after the first picture the user is at another slice. */
async function jumpTo(desk, series, left) {
  const index = Math.min(39, series.count - 1);
  await desk.page.waitForTimeout(1000);
  const at = await desk.page.evaluate(to => {
    const viewport = globalThis.cornerstone.getRenderingEngines().flatMap(each => each.getViewports()).find(each => each.canvas.width > 300);
    void viewport.setImageIdIndex(to);
    return performance.timeOrigin + performance.now();
  }, index);
  await desk.until(`seen.shows.some(each => each.index === ${index} && each.quality === 8)`, left());
  return {
    index,
    told: own => {
      const there = own.filter(each => each.index === index && each.at > at);
      const after = show => (show ? Math.round(show.at - at) : null);
      return { first: after(there[0]), useful: after(there.find(each => (each.quality === 8 || each.share >= 0.25) && each.ssim >= 0.9)), complete: after(there.find(each => each.quality === 8)) };
    },
  };
}

/**
 * kB on the line, of all that was asked for since the click, when the last byte of the useful level had left; and that level's end. A picture that the
 * server rendered is held against the level of its size.
 */
function neededBytes(series, useful, line, before) {
  const level = useful && Math.log2(series.columns / useful.columns);
  const end = useful && series.ends.at(-1 - Math.max(0, Math.round(level)));
  if (!end) return null;
  if (Math.abs(level - Math.round(level)) > 0.02) return { kB: useful.kB, end: Math.round(end / 1000) };
  const times = line.frames.flatMap(({ log }) => log.find(([, bytes]) => bytes >= end)?.[0] ?? []);
  return times.length > 0 ? { kB: Math.round((line.until(Math.min(...times)) - before) / 1000), end: Math.round(end / 1000) } : null;
}
