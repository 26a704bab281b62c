/** The light page in a browser window, and what can be asked of it. */

/** A phone, as Chromium pretends to be one. */
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

export class LightPage {
  constructor(page, context) {
    this.page = page;
    this.context = context;
    this.troubles = [];
    page.on('console', message => message.type() === 'error' && this.troubles.push(message.text()));
    page.on('pageerror', error => this.troubles.push(String(error)));
  }

  /** Opens an address below /light/ in a window of its own. */
  static async open(browser, url, query = '', options = {}, before = async () => undefined) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    const light = new LightPage(await context.newPage(), context);
    await before(light.page);
    await light.page.goto(`${url}/light/${query}`);
    return light;
  }

  /** Text of a part of a viewport. */
  words(part, viewport = 0) {
    return this.page.evaluate(([part, n]) => document.querySelectorAll('.viewport')[n]?.querySelector(`.${part}`)?.textContent ?? '', [part, viewport]);
  }

  /** What a viewport says of itself: level, index, instance. */
  state(viewport = 0) {
    return this.page.evaluate(n => ({ ...document.querySelectorAll('.viewport')[n]?.dataset }), viewport);
  }

  /** Waits until a viewport shows this level. */
  arrived(level, viewport = 0) {
    return this.page.waitForFunction(([level, n]) => document.querySelectorAll('.viewport')[n]?.dataset.level === level, [String(level), viewport], { timeout: 60_000, polling: 20 });
  }

  /** Waits until this picture of the stack is drawn; what is asked after it says whether it was. */
  at(index, viewport = 0) {
    return this.page.waitForFunction(([index, n]) => document.querySelectorAll('.viewport')[n]?.dataset.index === index, [String(index), viewport], { timeout: 10_000, polling: 20 }).catch(() => undefined);
  }

  /** Moves the slider. */
  slide(share) {
    return this.page.locator('#slider').evaluate((slider, share) => {
      slider.value = String(Math.round(Number(slider.max) * share));
      slider.dispatchEvent(new Event('input'));
    }, share);
  }

  /** Waits until a part of a viewport matches. */
  says(part, pattern, viewport = 0) {
    const seen = this.page.waitForFunction(([part, source, n]) => new RegExp(source).test(document.querySelectorAll('.viewport')[n]?.querySelector(`.${part}`)?.textContent ?? ''), [part, pattern.source, viewport], { timeout: 60_000, polling: 20 });
    return seen.then(() => this.words(part, viewport));
  }

  /** Drags with a tool across the middle of a viewport, by so many points each way. */
  async drag(tool, [dx, dy] = [100, 0], viewport = 0) {
    await this.page.click(`[data-tool=${tool}]`);
    const box = await this.page.locator('.viewport .place').nth(viewport).boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await this.page.mouse.move(x - dx, y - dy);
    await this.page.mouse.down();
    await this.page.mouse.move(x + dx, y + dy, { steps: 4 });
    await this.page.mouse.up();
  }

  marks() {
    return this.page.evaluate(() => window.firstlight.marks());
  }

  /** Chooses from the menu. */
  async menu(act) {
    await this.page.click('#menu summary');
    await this.page.click(`#menu [data-do=${act}]`);
  }

  /** Reds of the active viewport's picture. */
  pixels() {
    return this.page.evaluate(() => window.firstlight.pixels());
  }

  /** Errors that are none of the page's own making left out. */
  unexpected(...expected) {
    return this.troubles.filter(text => !expected.some(pattern => pattern.test(text)));
  }

  close() {
    return this.context.close();
  }
}
