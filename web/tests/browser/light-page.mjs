/** The light page in a browser window, and what can be asked of it. */
import { leave } from './viewer.mjs';
import { PATIENCE } from './waiting.mjs';

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
  static open(browser, url, query = '', options = {}, before = async () => undefined) {
    return LightPage.openAt(browser, `${url}/light/${query}`, options, before);
  }

  /** Opens the page wherever it is. */
  static async openAt(browser, address, options = {}, before = async () => undefined) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const light = new LightPage(await context.newPage(), context);
    await before(light.page);
    await light.page.goto(address);
    return light;
  }

  /**
   * Waits until a viewport is so, all at once, and gives what it was then. `data` is what it says of itself (level, index, instance), `words` are
   * patterns of the texts of its parts. What was asked for by an action has to tell the state after it from the one before, as an index does.
   */
  async shows(data, words = {}, viewport = 0) {
    const wanted = { data: Object.entries(data).map(([name, value]) => [name, String(value)]), words: Object.entries(words).map(([part, { source, flags }]) => [part, source, flags]), viewport };
    try {
      const seen = await this.page.waitForFunction(seenSo, wanted, { timeout: PATIENCE, polling: 20 });
      return await seen.jsonValue();
    } catch (error) {
      const now = await this.page.evaluate(n => document.querySelectorAll('.viewport')[n]?.innerText, viewport).catch(() => 'no page');
      throw new Error(`viewport ${viewport} was never ${JSON.stringify(data)} ${Object.entries(words).map(([part, pattern]) => `${part} ${pattern}`)}: ${JSON.stringify({ ...(await this.state(viewport).catch(() => ({}))), now })}`, { cause: error });
    }
  }

  /** Waits until a viewport shows this level. */
  arrived(level, viewport = 0) {
    return this.shows({ level }, {}, viewport);
  }

  /** Waits until a viewport shows a complete picture, and all of its series is known: it can be counted, and turned to. */
  opened(viewport = 0) {
    return this.shows({ level: 0 }, { index: /\/ \d+$/ }, viewport);
  }

  /** Waits until the shell is kept for the next visit: a line that is lost before is an error of that too. */
  kept() {
    return this.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  }

  /** Waits until the picture of this place stands there complete, and nothing is said of it. */
  complete(index, viewport = 0) {
    return this.shows({ index, level: 0 }, { quality: /^$/ }, viewport);
  }

  /** Waits until a part of a viewport matches, and gives its text as it was then. */
  async says(part, pattern, viewport = 0) {
    return (await this.shows({}, { [part]: pattern }, viewport)).words[part];
  }

  /** Lets the page draw what it was asked for. */
  drawn() {
    return this.page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))));
  }

  /** Text of a part of a viewport. */
  async words(part, viewport = 0) {
    await this.drawn();
    return this.page.evaluate(([part, n]) => document.querySelectorAll('.viewport')[n]?.querySelector(`.${part}`)?.textContent ?? '', [part, viewport]);
  }

  /** What a viewport says of itself: level, index, instance. */
  async state(viewport = 0) {
    await this.drawn();
    return this.page.evaluate(n => ({ ...document.querySelectorAll('.viewport')[n]?.dataset }), viewport);
  }

  /** Moves the slider, and gives where to when the page is there. */
  async slide(share) {
    const index = await this.page.locator('#slider').evaluate((slider, share) => {
      slider.value = String(Math.round(Number(slider.max) * share));
      slider.dispatchEvent(new Event('input'));
      return Number(slider.value);
    }, share);
    await this.shows({ index });
    return index;
  }

  /** Presses keys on a viewport, and waits until it is at this picture. */
  async turn(keys, index, viewport = 0) {
    await this.page.locator('.viewport .place').nth(viewport).focus();
    for (const key of [keys].flat()) await this.page.keyboard.press(key);
    return this.shows({ index }, {}, viewport);
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

  /** All marks, with what is said of them when they have been drawn. */
  async marks() {
    await this.drawn();
    return this.page.evaluate(() => window.firstlight.marks());
  }

  /** The marks, when something is said of each. */
  async measured() {
    await this.page.waitForFunction(() => window.firstlight.marks().every(({ words }) => words !== undefined), null, { timeout: PATIENCE });
    return this.marks();
  }

  /** Chooses from the menu. */
  async menu(act) {
    await this.page.click('#menu summary');
    await this.page.click(`#menu [data-do=${act}]`);
  }

  /** Reds of the active viewport's picture. */
  async pixels() {
    const told = await this.page.evaluate(async () => {
      const { width, height, pixels } = window.firstlight.pixels();
      const text = new FileReader();
      await new Promise(read => Object.assign(text, { onload: read }).readAsDataURL(new Blob([Uint8Array.from(pixels)])));
      return { width, height, text: text.result };
    });
    return { width: told.width, height: told.height, pixels: Buffer.from(told.text.split(',')[1], 'base64') };
  }

  /** Errors that are none of the page's own making left out. */
  unexpected(...expected) {
    return this.troubles.filter(text => !expected.some(pattern => pattern.test(text)));
  }

  close() {
    return leave(this.context);
  }
}

/** In the page: what a viewport is, where all of it is as wanted. */
function seenSo({ data, words, viewport }) {
  const element = document.querySelectorAll('.viewport')[viewport];
  if (!element || data.some(([name, value]) => element.dataset[name] !== value)) return false;
  const told = words.map(([part, source, flags]) => [part, element.querySelector(`.${part}`)?.textContent ?? '', new RegExp(source, flags)]);
  return told.every(([, text, pattern]) => pattern.test(text)) && { ...element.dataset, words: Object.fromEntries(told.map(([part, text]) => [part, text])) };
}
