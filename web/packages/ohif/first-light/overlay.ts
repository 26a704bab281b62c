/** The picture over the page, until the viewer shows its own. It takes no pointer and no key: nothing can be measured on it. */
import { NOTICE } from './compose.ts';
import { LAYER, paneExpected, paneNow } from './place.ts';

const NAME = 'firstlight-first-light';
const FADE = 200;

const STYLE = `
#${NAME} { position: fixed; z-index: ${LAYER}; overflow: hidden; background: #000; color: #d7e3f4; pointer-events: none; user-select: none;
  transition: opacity ${FADE}ms; font: 13px/18px Inter, system-ui, sans-serif; }
#${NAME} canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
#${NAME} p { position: absolute; margin: 0; padding: 3px 12px; max-width: calc(100% - 48px); }
#${NAME} .notice { top: 8px; left: 50%; transform: translateX(-50%); width: max-content; text-align: center; border-radius: 12px; font-weight: 600; color: #1a1200; background: #ffb020; }
#${NAME} .words { left: 8px; bottom: 8px; border-radius: 6px; background: #000a; overflow-wrap: anywhere; }
`;

export class Overlay {
  readonly #root: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #notice: HTMLElement;

  constructor(document: Document, words: string) {
    const make = (tag: string, className: string, content: string) => Object.assign(document.createElement(tag), { className, textContent: content });
    this.#root = make('div', '', '');
    this.#root.id = NAME;
    this.#canvas = document.createElement('canvas');
    this.#canvas.setAttribute('role', 'img');
    this.#canvas.setAttribute('aria-label', 'Preview of the first image of the study');
    this.#notice = make('p', 'notice', NOTICE);
    this.#notice.setAttribute('role', 'status');
    this.#root.append(make('style', '', STYLE), this.#canvas, this.#notice, make('p', 'words', words));
    // The body may not be there yet.
    document.documentElement.append(this.#root);
    this.place();
  }

  /** Draws an image, whatever its size, into the same place. */
  draw(image: ImageData | ImageBitmap): void {
    [this.#canvas.width, this.#canvas.height] = [image.width, image.height];
    const context = this.#canvas.getContext('2d')!;
    image instanceof ImageData ? context.putImageData(image, 0, 0) : context.drawImage(image, 0, 0);
    this.#root.dataset.width = String(image.width);
  }

  /** Says something else than that the viewer is loading. */
  say(words: string | undefined): void {
    this.#notice.textContent = words === undefined ? NOTICE : `Preview, not for diagnosis: ${words}`;
  }

  /** Over the place of the viewer's first image; while that is still to come, all around it is black. */
  place(): void {
    const document = this.#root.ownerDocument;
    const pane = paneExpected(document.defaultView!);
    const [left, top, width, height] = [pane.left, pane.top, pane.width, pane.height].map(n => `${n}px`);
    Object.assign(this.#root.style, { left, top, width, height, boxShadow: paneNow(document) ? 'none' : '0 0 0 200vmax #000' });
  }

  fade(): void {
    this.#root.style.opacity = '0';
    setTimeout(() => this.#root.remove(), FADE);
  }
}
