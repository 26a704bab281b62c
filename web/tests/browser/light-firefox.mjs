/** The light page in Firefox, by WebDriver BiDi: it opens, and shows a radiograph and a CT. */
import { existsSync } from 'node:fs';
import { launch } from 'puppeteer-core';
import { PATIENCE } from './waiting.mjs';

const FIREFOX = process.env.FIRSTLIGHT_FIREFOX ?? '/usr/bin/firefox-esr';

export async function firefox({ checks, url, all, picture }) {
  if (!existsSync(FIREFOX)) return checks.skip('the light page in Firefox', `${FIREFOX} is not there (Debian: firefox-esr)`);
  const browser = await launch({ browser: 'firefox', executablePath: FIREFOX, headless: true, timeout: PATIENCE, protocolTimeout: 2 * PATIENCE });
  try {
    for (const series of all) {
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE);
      await page.setViewport({ width: 1200, height: 800 });
      const troubles = [];
      page.on('console', message => message.type() === 'error' && troubles.push(message.text()));
      page.on('pageerror', error => troubles.push(String(error)));
      await page.goto(`${url}/light/?study=${series.study}`);
      const shown = () => page.evaluate(() => {
        const viewport = document.querySelector('.viewport');
        if (viewport?.dataset.level !== '0') return { said: viewport?.querySelector('.quality').textContent ?? '' };
        return { painter: window.firstlight.painter(), lit: window.firstlight.pixels().pixels.filter(grey => grey > 40).length, patient: viewport.querySelector('.patient').textContent };
      });
      await page.waitForFunction(() => document.querySelector('.viewport')?.dataset.level === '0', { timeout: PATIENCE }).catch(() => undefined);
      const { painter, lit, patient, said } = await shown();
      checks.that(`Firefox shows the ${series.modality}, and whose it is`, lit > 1000 && patient !== '', painter ? `painted by ${painter}, ${lit} pixels lit` : said);
      checks.that('without an error', troubles.length === 0, troubles[0]);
      await picture({ page }, `light-firefox-${series.modality.toLowerCase()}`);
      await page.close();
    }
  } finally {
    await browser.close();
  }
}
