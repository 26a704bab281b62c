/** Faults in OHIF are states: the badge says so, what was there stays, it goes on by itself, and nothing stays locked. */
import { endsOf, samplesOfStack } from './radiograph.mjs';
import { Viewer } from './viewer.mjs';
import { behind, until, whether } from './waiting.mjs';

/** So many bytes of a slice are fewer than any has. */
const PART = 20_000;

/** In the page: what the first viewport shows, and what is said over it. */
function look() {
  const [viewport] = globalThis.cornerstone.getRenderingEngines()[0].getViewports();
  const image = viewport.getCornerstoneImage?.();
  const wanted = viewport.getCurrentImageId?.();
  const badge = viewport.element.querySelector('.firstlight-preview-badge')?.textContent ?? '';
  return { state: viewport.element.dataset.firstlight, badge, index: viewport.getCurrentImageIdIndex?.(), own: image !== undefined && image.imageId === wanted, columns: image?.columns };
}

class Stack {
  constructor(viewer) {
    this.viewer = viewer;
    this.page = viewer.page;
  }

  static async open(context, prepare) {
    const viewer = await Viewer.open(context.browser, context.url, `/viewer/viewer?StudyInstanceUIDs=${context.series.study}`, prepare);
    const stack = new Stack(viewer);
    await stack.complete();
    return stack;
  }

  look() {
    return this.page.evaluate(look);
  }

  /** Turns to a slice, as the scroll bar does, and gives the name of its instance. */
  go(index) {
    return this.page.evaluate(index => {
      const [viewport] = globalThis.cornerstone.getRenderingEngines()[0].getViewports();
      void viewport.setImageIdIndex(index);
      return /\/instances\/([\d.]+)/.exec(viewport.getImageIds()[index])[1];
    }, index);
  }

  until(what, test) {
    return until(what, () => this.look().catch(() => undefined), seen => seen !== undefined && test(seen));
  }

  /** What the badge says when it says so of a slice, or of any. */
  says(pattern, of) {
    return this.until(`a badge ${pattern}`, ({ badge, index }) => pattern.test(badge) && (of === undefined || index === of)).then(({ badge }) => badge);
  }

  complete(index) {
    return this.until('the complete image', seen => seen.state === 'complete' && seen.own && seen.badge === '' && (index === undefined || seen.index === index));
  }

  /** Whether a length can be drawn: no lock has stayed. */
  measures() {
    return this.viewer.measure('Length', [0.4, 0.4], [0.6, 0.6]);
  }
}

export async function ohifFaults({ checks, browser, proxy, url, series, image }) {
  // Little is fetched ahead, and later slowly: slices far away are not there when they are turned to.
  proxy.holdAfter(Infinity, 4);
  const stack = await Stack.open({ browser, url, series });
  const { page } = stack;

  proxy.shape(4, 80);
  proxy.hold();
  const before = proxy.frames.length;
  const instance = await stack.go(100);
  await whether(until('a request of the slice', () => proxy.frames.slice(before).some(({ path }) => path.includes(instance)), Boolean, 5000));
  proxy.leave();
  proxy.release();
  const lost = await stack.says(/trying again/, 100);
  checks.that('OHIF, server gone: it says so', /connection lost/.test(lost), lost);
  proxy.comeBack();
  await stack.complete(100);
  checks.that('OHIF, server back: it goes on by itself', true);

  await page.route(/\/frames\//, route => route.fulfill({ status: 401, body: '' }));
  await stack.go(50);
  const outside = await stack.says(/signed out/, 50);
  const kept = await stack.look();
  checks.that('OHIF, 401 in the middle of scrolling: it says so, and what stands there is not taken for this image', kept.state === 'preview', outside);
  await page.unroute(/\/frames\//);
  await stack.complete(50);
  checks.that('OHIF, signed in again: it goes on by itself', true);

  await stack.viewer.context.setOffline(true);
  await stack.go(20);
  const offline = await stack.says(/connection lost|trying again/, 20);
  await page.waitForTimeout(3000);
  await stack.viewer.context.setOffline(false);
  const at = Date.now();
  await stack.complete(20);
  checks.that('OHIF, offline and back: it says so, and goes on by itself', true, `${offline}; ${Date.now() - at} ms after the line was back`);

  const right = await page.evaluate(samplesOfStack);
  checks.that('OHIF, after all of it: the pixels are those of the reference decoders', image.hashes.has(right), right);
  checks.that('OHIF, after all of it: no lock has stayed', await stack.measures());
  checks.that('OHIF, after all of it: no toast without a name', (await page.getByText(/Something went wrong/i).count()) === 0);
  proxy.release();
  await stack.viewer.close();
}

/** Ranges that are refused, and levels that are other ones than there are. */
export async function wrongWords({ checks, browser, proxy, url, series, image }) {
  let refused = 0;
  const refuse = page => page.route('**/frames/1', route => (/^bytes=[1-9]/.test(route.request().headers().range ?? '') && refused++ < 2 ? route.fulfill({ status: 416, body: '' }) : route.continue()));
  const open = async prepare => {
    proxy.holdAfter(behind(endsOf(series), 1));
    const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, prepare);
    await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
    return viewer;
  };
  const ends = async (viewer, what, detail) => {
    proxy.release();
    await viewer.until(`each => each.state === 'complete'`);
    const shown = (await viewer.history()).filter(each => each.quality !== undefined);
    const hash = await viewer.page.evaluate(samplesOfStack);
    checks.that(`OHIF, ${what}: the image comes, with the pixels of the reference decoders`, image.hashes.has(hash) && shown.at(-1).badge === null, detail());
    checks.that(`OHIF, ${what}: nothing was shown as complete before`, shown.filter(each => each.quality === 8).every(each => each.columns === shown.at(-1).columns));
    await viewer.close();
  };
  const cut = await open(refuse);
  await until('a frame that waits', () => proxy.waits);
  proxy.release();
  proxy.cut();
  await ends(cut, '416', () => `${refused} ranges refused`);

  // Every level ends at six tenths of where it does.
  let told = 0;
  const shorten = levels => {
    for (const frame of levels?.frames ?? []) frame.ends = frame.ends.map(end => Math.ceil(end * 0.6));
    told++;
  };
  const lie = async page => {
    await page.route(/\/levels$/, async route => {
      const response = await route.fetch();
      const body = await response.json();
      Object.values(body.instances).forEach(shorten);
      await route.fulfill({ response, json: body });
    });
    await page.route(/\/first(\?|$)/, async route => {
      const response = await route.fetch();
      const body = await response.json();
      shorten(body.first?.levels);
      await route.fulfill({ response, json: body });
    });
  };
  await ends(await open(lie), 'wrong levels', () => `told ${told} times`);
}

/** The line stands still for 3 and for 30 seconds, in the middle of an image: both pages at once. */
export async function stalls({ checks, proxy, ohif, light }) {
  for (const [seconds, index] of [[3.6, 120], [30, 40]]) {
    proxy.shape(4, 80);
    proxy.holdAfter(PART);
    const began = Date.now();
    await ohif.go(index);
    const beside = await light.slide(index / 142);
    const [inOhif, onLight] = await Promise.all([ohif.says(/nothing has come for \d+ s|nothing came for a while/, index), light.says('quality', /Nothing has come for \d+ s/)].map(each => each.catch(String)));
    checks.that(`a stall of ${Math.round(seconds)} s: both pages say so`, /nothing has come/.test(inOhif) && /Nothing has come/.test(onLight), `${inOhif}; ${onLight}`);
    if (seconds > 20) {
      const [tries, again] = await Promise.all([ohif.says(/trying again/, index).catch(String), light.says('quality', /trying again|Nothing/)]);
      checks.that('  after ten of them it is tried again', /trying again/.test(tries) && again !== '', `${tries}; ${again}`);
    }
    await ohif.page.waitForTimeout(Math.max(0, seconds * 1000 - (Date.now() - began)));
    const during = await ohif.look();
    checks.that('  what stands there is a preview', during.state === 'preview', during.badge);
    proxy.release();
    proxy.shape(30, 10);
    const released = Date.now();
    await Promise.all([ohif.complete(index), light.complete(beside)]);
    checks.that('  both go on by themselves', true, `${Date.now() - released} ms after the line went on`);
  }
  checks.that('no lock has stayed', await ohif.measures());
  await light.drag('ellipse', [40, 40]);
  const marks = await light.measured().catch(() => []);
  checks.that('nor on the light page', marks.length > 0 && marks.every(({ words }) => words !== undefined));
}

export const openStack = (browser, url, series) => Stack.open({ browser, url, series });
