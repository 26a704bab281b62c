/** Faults on the light page are states: it says so, keeps what it has, and goes on by itself. */
import { LightPage } from './light-page.mjs';
import { until, whether } from './waiting.mjs';

/** The browser tells of each failed request itself. */
const TOLD = [/Failed to load resource/, /net::ERR/];

export async function faults({ checks, browser, proxy, url, series }) {
  // So small a window that slices come by levels: the full image of one that was not looked at has to be asked for.
  const light = await LightPage.open(browser, url, `?study=${series.study}`, { viewport: { width: 560, height: 560 } });
  const { page } = light;
  await light.opened();
  await light.kept();
  const last = Object.keys(series.levels).length - 1;
  const frames = route => page.route(/\/frames\//, route);

  // The server goes away in the middle of a level.
  proxy.hold();
  const before = proxy.frames.length;
  const { instance } = await light.turn('End', last);
  await whether(until('a request of the last slice', () => proxy.frames.slice(before).some(({ path }) => path.includes(instance)), Boolean, 5000));
  proxy.leave();
  proxy.release();
  const lost = await light.says('quality', /trying again/);
  checks.that('server gone: it says so', /connection lost/i.test(lost), lost);
  proxy.comeBack();
  checks.that('server back: it goes on by itself, and says nothing any more', (await light.complete(last)).words.quality === '');

  await frames(route => route.fulfill({ status: 401, body: '' }));
  const middle = await light.slide(0.6);
  const outside = await light.says('quality', /Signed out/);
  checks.that('401 in the middle of scrolling: it says so', outside.includes('sign in'), outside);
  await page.unroute(/\/frames\//);
  checks.that('signed in again: it goes on by itself', (await light.complete(middle)).words.quality === '');

  await light.context.setOffline(true);
  const offline = await light.shows({ index: middle }, { quality: /Offline/ });
  checks.that('offline: it says so, and keeps the picture', offline.level === '0', offline.words.quality);
  await light.turn('PageDown', middle + 10);
  await light.context.setOffline(false);
  checks.that('online again: it goes on by itself', (await light.complete(middle + 10)).words.quality === '');

  // Other levels than there are: a range that cannot be had.
  let refused = 0;
  await frames(route => (route.request().headers().range && refused++ < 2 ? route.fulfill({ status: 416, body: '' }) : route.continue()));
  const third = await light.slide(0.3);
  checks.that('416: the frame is begun anew', (await light.complete(third)).words.quality === '' && refused > 0, `${refused} ranges refused`);
  await page.unroute(/\/frames\//);

  // A frame that is refused for good: a sentence, and the others go on. Which one it is, the page says before it is answered.
  let refuse;
  const refusing = new Promise(resolve => (refuse = resolve));
  await frames(async route => (route.request().url().includes(`/${await refusing}/`) ? route.fulfill({ status: 404, body: 'no such frame\n' }) : route.continue()));
  const far = await light.slide(0.85);
  refuse((await light.shows({ index: far })).instance);
  const gone = await light.says('quality', /cannot be shown/);
  const another = await light.slide(0.5);
  checks.that('a frame that cannot be had is told of, and locks nothing', (await light.complete(another)).words.quality === '' && gone.includes('no such frame'), gone);
  await page.unroute(/\/frames\//);
  await light.slide(0.85);
  checks.that('who comes back to it has it tried again', (await light.complete(far)).words.quality === '');
  checks.that('without an error of the page', light.unexpected(...TOLD).length === 0, light.unexpected(...TOLD)[0]);
  await light.close();

  // The list's line fails: it says so and goes on.
  const list = await LightPage.open(browser, url, '', {}, page => page.route(/\/studies\?/, route => route.fulfill({ status: 503, body: '' })));
  await list.page.waitForFunction(() => /503/.test(document.getElementById('found').textContent));
  await list.page.unroute(/\/studies\?/);
  await list.page.waitForSelector('#studies li');
  checks.that('a list that cannot be read is asked for again', true, await list.page.textContent('#found'));
  await list.close();
}
