/** The small panel in OHIF's toolbar: what the line gives, and full quality for the whole series on a device that saves data. */
import { Viewer } from './viewer.mjs';

const SAVES = () => Object.defineProperty(navigator, 'connection', { value: Object.assign(new EventTarget(), { saveData: true, effectiveType: '4g' }) });

export async function quality({ checks, browser, proxy, url, series, picture }) {
  proxy.shape(30, 10);
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${series.study}`, page => page.addInitScript(SAVES));
  const { page } = viewer;
  await viewer.until(`each => each.state === 'complete'`);
  await page.waitForTimeout(2500);
  const slices = () => new Set(viewer.ranges().map(({ url }) => url)).size;
  const saved = slices();
  checks.that('a device that saves data is sent what is on the screen, and little more', saved <= 6, `${saved} frames`);

  const button = page.locator('[data-cy="FirstlightQuality"]');
  await button.click({ timeout: 10_000 });
  const panel = page.locator('section.firstlight-quality');
  const words = await panel.innerText();
  checks.that('a button of the toolbar tells what the line gives', /\d+ × \d+ of \d+ × \d+/.test(words) && /[\d.]+ Mbit\/s, \d+ ms/.test(words) && /[\d.]+ MB/.test(words) && /after [\d.]+ s/.test(words), words.replaceAll('\n', ' '));
  checks.that('and that data is saved', /saves data/.test(words));
  await picture(viewer, 'ohif-quality');
  await panel.getByLabel(/Always full/).check();
  await page.waitForTimeout(4000);
  checks.that('full quality, when the user wants it, is fetched for the series', slices() > saved + 20, `${slices()} frames`);
  await panel.getByLabel(/By the line/).check();
  await page.waitForTimeout(1500);
  const before = slices();
  await page.waitForTimeout(1500);
  checks.that('and no more when not', slices() <= before + 1, `${before} and ${slices()} frames`);
  await page.keyboard.press('Escape');
  checks.that('a key closes the panel', (await panel.count()) === 0);
  checks.that('without an error', viewer.troubles.length === 0, viewer.troubles[0]);
  await viewer.close();
}
