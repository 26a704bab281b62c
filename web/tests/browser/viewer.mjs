/** Stock OHIF in Chromium, with a recorder of what each viewport shows and of every request. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { PATIENCE, until, whether } from './waiting.mjs';

const FLAGS = [
  '--no-sandbox',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];
const WINDOW = { width: 1280, height: 800 };

export async function launch(options = {}) {
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  if (!executablePath) throw new Error('no Chromium here; install the package chromium, or name the program in CHROMIUM');
  return chromium.launch({ executablePath, args: FLAGS, ...options });
}

/** Closes a browser's context; what is still asked of its pages then fails nobody. */
export async function leave(context) {
  await Promise.all(context.pages().map(page => page.unrouteAll({ behavior: 'ignoreErrors' })));
  await context.close();
}

export class Viewer {
  /** `{ url, range, authorization }` of each request. */
  requests = [];
  /** Errors of the page, and what its console says of failed decoding. */
  troubles = [];

  /** Opens `path` below `url` in a fresh profile; `prepare` may change the page before. */
  static async open(browser, url, path, prepare = async () => {}) {
    const viewer = new Viewer();
    viewer.context = await browser.newContext({ viewport: WINDOW });
    viewer.context.setDefaultTimeout(PATIENCE);
    await viewer.context.addInitScript(record);
    viewer.page = await viewer.context.newPage();
    viewer.page.on('request', request => {
      const { range = null, authorization = null } = request.headers();
      viewer.requests.push({ url: request.url(), range, authorization });
    });
    viewer.page.on('pageerror', error => viewer.troubles.push(error.message));
    viewer.page.on('console', message => {
      if (/decode|could not be cloned|IMAGE_LOAD_(FAILED|ERROR)/i.test(message.text()) && message.type() !== 'log') {
        viewer.troubles.push(message.text().slice(0, 200));
      }
    });
    await prepare(viewer.page);
    await viewer.page.goto(`${url}${path}`, { waitUntil: 'commit' });
    return viewer;
  }

  /** What was shown, in order: `{ at, viewport, state, badge, columns, rows, quality, frames }`. */
  history() {
    return this.page.evaluate(() => globalThis.shown);
  }

  /** Waits for a state of which `predicate` (run in the page) is true. */
  async until(predicate, timeout = 2 * PATIENCE) {
    await this.page.waitForFunction(`globalThis.shown?.some(${predicate})`, undefined, { timeout, polling: 10 });
  }

  /** Waits until an image of more columns than these was shown, and gives the most there were. */
  async finerThan(columns) {
    await this.until(`each => each.columns > ${columns}`);
    return Math.max(...(await this.history()).map(each => each.columns ?? 0));
  }

  /** Requests of frames, the part of the URL after the instance. */
  ranges() {
    return this.requests.filter(request => /\/frames\/\d+$/.test(request.url));
  }

  /** The tools of all annotations there are, without those that a tool keeps for itself (its lines, its scale). */
  annotations() {
    return this.page.evaluate(() => globalThis.measurements().map(each => each.metadata.toolName));
  }

  /** Makes `tool` the one of the left button, as its button in the toolbar does. */
  async activate(tool) {
    await this.page.evaluate(name => {
      const { Enums, ToolGroupManager } = globalThis.cornerstoneTools;
      const [engine] = globalThis.cornerstone.getRenderingEngines();
      const viewport = engine.getViewports()[0];
      const group = ToolGroupManager.getToolGroupForViewport(viewport.id, engine.id);
      const primary = [{ mouseButton: Enums.MouseBindings.Primary }];
      const before = group.getActivePrimaryMouseButtonTool();
      if (before) group.setToolPassive(before, { removeAllBindings: primary });
      group.setToolActive(name, { bindings: primary });
    }, tool);
  }

  /** Where the first viewport is on the page. */
  box() {
    return this.page.evaluate(() => {
      const { x, y, width, height } = globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0].element.getBoundingClientRect();
      return { x, y, width, height };
    });
  }

  /** A stroke with the left button from one place of the first viewport to another; both as shares of its sides. Without a way it is a click. */
  async drag(from, to) {
    const { mouse } = this.page;
    const { x, y, width, height } = await this.box();
    // A dialog that closes lies over it a moment longer.
    const isFree = ([x, y]) => globalThis.cornerstone.getRenderingEngines()[0].getViewports()[0].element.contains(document.elementFromPoint(x, y));
    await this.page.waitForFunction(isFree, [x + from[0] * width, y + from[1] * height]);
    await mouse.move(x + from[0] * width, y + from[1] * height);
    await mouse.down();
    await mouse.move(x + ((from[0] + to[0]) / 2) * width, y + ((from[1] + to[1]) / 2) * height, { steps: 4 });
    await mouse.move(x + to[0] * width, y + to[1] * height, { steps: 4 });
    await mouse.up();
  }

  /** The same with a tool that measures: waits until it has one figure more, or, where it never has, gives `false`. A click is delivered late. */
  async measure(tool, from, to) {
    const count = name => globalThis.measurements().filter(each => each.metadata.toolName === name && Object.keys(Object.values(each.data.cachedStats ?? {})[0] ?? {}).length > 0).length;
    await this.activate(tool);
    const before = await this.page.evaluate(count, tool);
    await this.drag(from, to);
    return whether(until(`a figure of ${tool}`, () => this.page.evaluate(count, tool), now => now > before));
  }

  /** What was said at the cursor since the last time that this was asked, when it says so; all that was said, where it never does. */
  async noted(pattern) {
    const seen = () => this.page.evaluate(() => globalThis.notes);
    const all = await until(`a note ${pattern}`, seen, notes => notes.some(words => pattern.test(words))).catch(seen);
    await this.page.evaluate(() => void (globalThis.notes.length = 0));
    return all.findLast(words => pattern.test(words)) ?? all.at(-1) ?? '';
  }

  close() {
    return leave(this.context);
  }
}

/** Runs in the page from its beginning: notes each change of what a viewport shows. */
function record() {
  localStorage.setItem('shownTours', '["basicViewerTour"]');
  globalThis.shown = [];
  const own = ['ReferenceLines', 'ScaleOverlay', 'Crosshairs', 'OrientationMarker', 'ReferenceCursors'];
  globalThis.measurements = () =>
    globalThis.cornerstoneTools.annotation.state.getAllAnnotations().filter(each => !own.includes(each.metadata.toolName));
  const last = new Map();
  const describe = viewport => {
    const badge = viewport.element.querySelector('.firstlight-preview-badge')?.textContent ?? null;
    const base = { viewport: viewport.id, state: viewport.element.dataset.firstlight ?? null, badge };
    const [volumeId] = viewport.getAllVolumeIds?.() ?? [];
    if (volumeId) {
      const { imageIds, cachedFrames } = globalThis.cornerstone.cache.getVolume(volumeId);
      return { ...base, frames: imageIds.map((_, i) => cachedFrames[i] ?? 0) };
    }
    const image = viewport.getCornerstoneImage?.();
    return image ? { ...base, columns: image.columns, rows: image.rows, quality: image.imageQualityStatus } : base;
  };
  const look = () => {
    for (const engine of globalThis.cornerstone?.getRenderingEngines() ?? []) {
      for (const viewport of engine.getViewports()) {
        const now = describe(viewport);
        const text = JSON.stringify(now);
        if (last.get(viewport.id) === text) continue;
        last.set(viewport.id, text);
        globalThis.shown.push({ at: Math.round(performance.now()), ...now });
      }
    }
  };
  setInterval(look, 10);
  // Of what changes more than once in that time nothing is left out.
  document.addEventListener('CORNERSTONE_STACK_NEW_IMAGE', look, true);
  const watched = setInterval(() => {
    if (!globalThis.cornerstone?.eventTarget) return;
    clearInterval(watched);
    globalThis.cornerstone.eventTarget.addEventListener('CORNERSTONE_IMAGE_VOLUME_MODIFIED', look);
  }, 10);
  /** What is said at the cursor, each time that it is. */
  globalThis.notes = [];
  const told = ({ target }) => target.classList?.contains('firstlight-tool-note') && globalThis.notes.push(target.textContent);
  new MutationObserver(changes => changes.forEach(told)).observe(document, { subtree: true, childList: true });
}
