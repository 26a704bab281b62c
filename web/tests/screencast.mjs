/**
 * What the compositor showed, and when: the page's frames as they leave for the screen. Chromium takes them outside the page's process: it is the
 * witness that a picture was seen, and when, though the page's own thread was busy.
 *
 * A frame is taken when something changes. That costs some 13 ms of a processor each on software GL, so after two they come no closer than PACE; each
 * has the time when it was shown. How like they are to the last picture is computed afterwards, in a page of its own.
 */
import { likeness } from './likeness.mjs';

const PACE = 50;
/** Between two pictures: longer than the compositor takes to show one. */
const AFTER_MS = 300;

export class Screencast {
  frames = [];
  #devtools;
  #take = ({ data, metadata, sessionId }) => {
    this.frames.push({ at: metadata.timestamp * 1000, data });
    setTimeout(() => this.#devtools.send('Page.screencastFrameAck', { sessionId }).catch(() => undefined), PACE);
  };

  static async start(devtools) {
    const cast = new Screencast();
    cast.#devtools = devtools;
    devtools.on('Page.screencastFrame', cast.#take);
    await devtools.send('Page.startScreencast', { format: 'jpeg', quality: 90 });
    return cast;
  }

  async stop() {
    await this.#devtools.send('Page.stopScreencast');
    this.#devtools.off('Page.screencastFrame', this.#take);
  }

  /**
   * For each time at which something was drawn into `box` of the page, when that was seen, and how like the last picture (a JPEG of the page) it was:
   * the first frame from then on that is like it, else the last one before the next was drawn.
   */
  async judge(browser, times, box, last) {
    const page = await browser.newPage();
    try {
      const known = new Map();
      const alike = async frame => {
        if (!known.has(frame)) known.set(frame, await page.evaluate(compare, { like: String(likeness), frames: [frame.data, last.toString('base64')], box }));
        return known.get(frame);
      };
      const seen = [];
      for (const [n, at] of times.entries()) {
        const until = Math.max(times[n + 1] ?? Infinity, at + AFTER_MS);
        let found;
        for (const frame of this.frames) {
          if (frame.at < at || (found && frame.at > until)) continue;
          found = { at: frame.at, ssim: await alike(frame) };
          if (found.ssim >= 0.9) break;
        }
        seen.push(found);
      }
      return seen;
    } finally {
      await page.close();
    }
  }
}

/** In a page: how like two pictures are in a box. */
async function compare({ like, frames, box: { left, top, width, height } }) {
  const [one, other] = await Promise.all(
    frames.map(async data => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/jpeg;base64,${data}`)).blob());
      const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
      context.drawImage(bitmap, -left, -top);
      const pixels = context.getImageData(0, 0, width, height).data;
      const grey = new Uint8Array(width * height);
      for (let n = 0; n < grey.length; n++) grey[n] = (pixels[4 * n] * 77 + pixels[4 * n + 1] * 150 + pixels[4 * n + 2] * 29) >> 8;
      return { width, height, grey };
    })
  );
  return eval(`(${like})`)(one, other);
}
