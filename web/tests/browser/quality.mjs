/** The small panel in OHIF's toolbar: what the line gives, and full quality for the whole series on a device that saves data. */
import { Viewer } from './viewer.mjs';
import { still, until, whether } from './waiting.mjs';

const SAVES = () => Object.defineProperty(navigator, 'connection', { value: Object.assign(new EventTarget(), { saveData: true, effectiveType: '4g' }) });

export async function quality({ checks, browser, proxy, url, series, picture }) {
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, page => page.addInitScript(SAVES));
  const { page } = viewer;
  await viewer.until(`each => each.state === 'complete'`);
  const slices = () => new Set(viewer.ranges().map(({ url }) => url)).size;
  const saved = await still(slices, 2500);
  checks.that('a device that saves data is sent what is on the screen, and little more', saved <= 6, `${saved} frames`);

  const button = page.locator('[data-cy="FirstlightQuality"]');
  await button.click();
  const panel = page.locator('section.firstlight-quality');
  const tells = words => /\d+ × \d+ of \d+ × \d+/.test(words) && /[\d.]+ Mbit\/s, \d+ ms/.test(words) && /[\d.]+ MB/.test(words) && /after [\d.]+ s/.test(words);
  const read = () => panel.innerText();
  const words = await until('what the line gives', read, tells).catch(read);
  checks.that('a button of the toolbar tells what the line gives', tells(words), words.replaceAll('\n', ' '));
  checks.that('and that data is saved', /saves data/.test(words));
  await picture(viewer, 'ohif-quality');
  // On this line the series takes half a minute: there is time for another choice.
  proxy.shape(4, 10);
  await panel.getByLabel(/Always full/).check();
  checks.that('full quality, when the user wants it, is fetched for the series', await whether(until('the series', slices, count => count > saved + 20)), `${slices()} frames`);
  await panel.getByLabel(/By the line/).check();
  const all = Object.keys(series.levels).length;
  const stopped = await still(slices, 1500);
  checks.that('and no more when not', stopped < all, `${stopped} of ${all} frames`);
  await page.keyboard.press('Escape');
  checks.that('a key closes the panel', await whether(panel.waitFor({ state: 'detached' })));
  checks.that('without an error', viewer.troubles.length === 0, viewer.troubles[0]);
  await viewer.close();
}
