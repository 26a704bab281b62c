/** Faults in OHIF are states: the badge says so, what was there stays, it goes on by itself, and nothing stays locked. */
import { samplesOfStack } from './radiograph.mjs';
import { Viewer } from './viewer.mjs';

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

  /** Turns to a slice, as the scroll bar does. */
  go(index) {
    return this.page.evaluate(index => void globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0].setImageIdIndex(index), index);
  }

  async until(what, test, timeout = 60_000) {
    const end = Date.now() + timeout;
    for (;;) {
      const seen = await this.look().catch(() => undefined);
      if (seen && test(seen)) return seen;
      if (Date.now() > end) throw new Error(`${what} was never so: ${JSON.stringify(seen)}`);
      await this.page.waitForTimeout(50);
    }
  }

  says(pattern, timeout) {
    return this.until(`a badge ${pattern}`, ({ badge }) => pattern.test(badge), timeout).then(({ badge }) => badge);
  }

  complete(index) {
    return this.until('the complete image', seen => seen.state === 'complete' && seen.own && seen.badge === '' && (index === undefined || seen.index === index), 120_000);
  }

  /** Whether a length can be drawn: no lock has stayed. */
  async measures() {
    await this.viewer.activate('Length');
    const before = (await this.viewer.annotations()).length;
    await this.viewer.drag([0.4, 0.4], [0.6, 0.6]);
    return (await this.viewer.annotations()).length === before + 1;
  }
}

export async function ohifFaults({ checks, browser, proxy, url, series, image }) {
  const stack = await Stack.open({ browser, url, series });
  const { page } = stack;

  // The slice is far from all that were fetched ahead.
  proxy.shape(4, 80);
  proxy.hold();
  await stack.go(100);
  await page.waitForTimeout(400);
  proxy.leave();
  proxy.release();
  const lost = await stack.says(/trying again/);
  checks.that('OHIF, server gone: it says so', /connection lost/.test(lost), lost);
  proxy.comeBack();
  await stack.complete(100);
  checks.that('OHIF, server back: it goes on by itself', true);

  await page.route(/\/frames\//, route => route.fulfill({ status: 401, body: '' }));
  await stack.go(60);
  const outside = await stack.says(/signed out/);
  const kept = await stack.look();
  checks.that('OHIF, 401 in the middle of scrolling: it says so, and what stands there is not taken for this image', kept.state === 'preview', outside);
  await page.unroute(/\/frames\//);
  await stack.complete(60);
  checks.that('OHIF, signed in again: it goes on by itself', true);

  await stack.viewer.context.setOffline(true);
  await stack.go(20);
  const offline = await stack.says(/connection lost|trying again/);
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
  const slow = page => page.on('request', request => /\/frames\/\d+$/.test(request.url()) && proxy.shape(4, 80));
  const open = async prepare => {
    proxy.shape(30, 10);
    const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, async page => {
      slow(page);
      await prepare(page);
    });
    await viewer.until(`each => each.state === 'preview' && each.quality === 6`);
    return viewer;
  };
  const ends = async (viewer, what, detail) => {
    proxy.release();
    proxy.shape(30, 10);
    await viewer.until(`each => each.state === 'complete'`);
    const shown = (await viewer.history()).filter(each => each.quality !== undefined);
    const hash = await viewer.page.evaluate(samplesOfStack);
    checks.that(`OHIF, ${what}: the image comes, with the pixels of the reference decoders`, image.hashes.has(hash) && shown.at(-1).badge === null, detail());
    checks.that(`OHIF, ${what}: nothing was shown as complete before`, shown.filter(each => each.quality === 8).every(each => each.columns === shown.at(-1).columns));
    await viewer.close();
  };
  const cut = await open(refuse);
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
    await ohif.go(index);
    await light.slide(index / 142);
    await ohif.page.waitForTimeout(120);
    proxy.hold();
    const began = Date.now();
    const [inOhif, onLight] = await Promise.all([ohif.says(/nothing has come for \d+ s|nothing came for a while/, 8000).catch(error => String(error)), light.says('quality', /Nothing has come for \d+ s/).catch(error => String(error))]);
    checks.that(`a stall of ${Math.round(seconds)} s: both pages say so`, /nothing has come/.test(inOhif) && /Nothing has come/.test(onLight), `${inOhif}; ${onLight}`);
    if (seconds > 20) {
      const [tries, again] = await Promise.all([ohif.says(/trying again/, 20_000).catch(error => String(error)), light.says('quality', /trying again|Nothing/)]);
      checks.that('  after ten of them it is tried again', /trying again/.test(tries) && again !== '', `${tries}; ${again}`);
    }
    await ohif.page.waitForTimeout(Math.max(0, seconds * 1000 - (Date.now() - began)));
    const during = await ohif.look();
    checks.that('  what stands there is a preview', during.state === 'preview', during.badge);
    proxy.release();
    proxy.shape(30, 10);
    const released = Date.now();
    await Promise.all([ohif.complete(index), light.arrived(0)]);
    await light.says('quality', /^$/);
    checks.that('  both go on by themselves', true, `${Date.now() - released} ms after the line went on`);
  }
  checks.that('no lock has stayed', await ohif.measures());
  await light.drag('ellipse', [40, 40]);
  await light.page.waitForFunction(() => window.firstlight.marks().every(({ words }) => words), null, { timeout: 10_000 }).catch(() => undefined);
  checks.that('nor on the light page', (await light.marks()).every(({ words }) => words !== undefined));
}

export const openStack = (browser, url, series) => Stack.open({ browser, url, series });
