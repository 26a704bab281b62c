/** Faults on the light page are states: it says so, keeps what it has, and goes on by itself. */
import { LightPage } from './light-page.mjs';

/** The browser tells of each failed request itself. */
const TOLD = [/Failed to load resource/, /net::ERR/];

export async function faults({ checks, browser, proxy, url, series }) {
  // So small a window that slices come by levels.
  const light = await LightPage.open(browser, url, `?study=${series.study}`, { viewport: { width: 560, height: 560 } });
  const { page } = light;
  await light.arrived(0);
  await light.says('index', /\/ \d+$/);
  await page.focus('.viewport .place');
  /** Jumps to a slice that is far from all that were fetched. */
  const jump = async key => {
    await page.focus('.viewport .place');
    await page.keyboard.press(key);
  };

  // The server goes away in the middle of a level.
  proxy.hold();
  await jump('End');
  await page.waitForTimeout(300);
  proxy.leave();
  proxy.release();
  const lost = await light.says('quality', /trying again/);
  checks.that('server gone: it says so', /connection lost/i.test(lost), lost);
  proxy.comeBack();
  await light.arrived(0);
  checks.that('server back: it goes on by itself, and says nothing any more', (await light.says('quality', /^$/)) === '');

  await light.page.route(/\/frames\//, route => route.fulfill({ status: 401, body: '' }));
  await light.slide(0.5);
  const outside = await light.says('quality', /Signed out/);
  checks.that('401 in the middle of scrolling: it says so', outside.includes('sign in'), outside);
  await light.page.unroute(/\/frames\//);
  await light.arrived(0);
  checks.that('signed in again: it goes on by itself', (await light.says('quality', /^$/)) === '');

  await light.context.setOffline(true);
  await page.waitForTimeout(100);
  const offline = await light.says('quality', /Offline/);
  checks.that('offline: it says so, and keeps the picture', (await light.state()).level === '0', offline);
  await jump('PageDown');
  await light.context.setOffline(false);
  await light.arrived(0);
  await light.says('quality', /^$/);
  checks.that('online again: it goes on by itself', (await light.says('quality', /^$/)) === '');

  // Other levels than there are: a range that cannot be had.
  let refused = 0;
  await light.page.route(/\/frames\//, route => (route.request().headers().range && refused++ < 2 ? route.fulfill({ status: 416, body: '' }) : route.continue()));
  await light.slide(0.3);
  await light.arrived(0);
  checks.that('416: the frame is begun anew', refused > 0 && (await light.says('quality', /^$/)) === '', `${refused} ranges refused`);
  await light.page.unroute(/\/frames\//);

  // A frame that is refused for good: a sentence, and the others go on.
  await light.page.route(/\/frames\//, route => route.fulfill({ status: 404, body: 'no such frame\n' }));
  await light.slide(0.8);
  const gone = await light.says('quality', /cannot be shown/);
  await light.page.unroute(/\/frames\//);
  await jump('End');
  await light.arrived(0);
  checks.that('a frame that cannot be had is told of, and locks nothing', gone.includes('no such frame') && (await light.says('quality', /^$/)) === '', gone);
  await light.slide(0.8);
  await light.arrived(0);
  checks.that('who comes back to it has it tried again', (await light.says('quality', /^$/)) === '');
  checks.that('without an error of the page', light.unexpected(...TOLD).length === 0, light.unexpected(...TOLD)[0]);
  await light.close();

  // The list's line fails: it says so and goes on.
  const list = await LightPage.open(browser, url, '', {}, page => page.route(/\/studies\?/, route => route.fulfill({ status: 503, body: '' })));
  await list.page.waitForFunction(() => /503/.test(document.getElementById('found').textContent), null, { timeout: 20_000 });
  await list.page.unroute(/\/studies\?/);
  await list.page.waitForSelector('#studies li', { timeout: 60_000 });
  checks.that('a list that cannot be read is asked for again', true, await list.page.textContent('#found'));
  await list.close();
}
