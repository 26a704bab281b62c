/**
 * First light within the application: a study is opened in the list, and its first image stands where OHIF's pane will be as soon as it is decoded. It
 * goes when OHIF shows its own.
 *
 * The loading worker draws it: OHIF keeps this thread busy for half a second. For that the canvas has to be in the page, transparent and of its
 * size, before the click; so it lies over the list.
 */
import { watch } from '../first-light/handover.ts';
import { isAt, LAYER, paneAhead, paneExpected, rememberPane, type Box } from '../first-light/place.ts';
import { studyOf } from '../src/routes.ts';
import type { FirstAnswer } from '../src/first-document.ts';
import type { FirstSource } from '../src/first-image.ts';
import type { FromPainter, ToPainter } from './first-messages.ts';

const NAME = 'firstlight-first-picture';
const FADE = 200;
const STYLE: Partial<CSSStyleDeclaration> = { position: 'fixed', zIndex: String(LAYER), pointerEvents: 'none', userSelect: 'none' };

export class FirstPicture implements FirstSource {
  readonly #view: Window;
  readonly #canvas: HTMLCanvasElement;
  readonly #port: MessagePort;
  readonly #headers: () => Record<string, string>;
  readonly #asked = new Map<string, ((answer: FirstAnswer) => void)[]>();
  #place: Box | undefined;
  #end: (() => void) | undefined;
  #fading: ReturnType<typeof setTimeout> | undefined;

  constructor(view: Window, worker: Worker, headers: () => Record<string, string>) {
    [this.#view, this.#headers] = [view, headers];
    this.#canvas = Object.assign(view.document.createElement('canvas'), { id: NAME });
    this.#canvas.setAttribute('aria-hidden', 'true');
    Object.assign(this.#canvas.style, STYLE);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => this.#hear(data);
    worker.postMessage({ type: 'first-picture', port: port2 }, [port2]);
    const canvas = this.#canvas.transferControlToOffscreen();
    port1.postMessage({ type: 'canvas', canvas } satisfies ToPainter, [canvas]);
    view.addEventListener('resize', () => this.#lie());
    // The body may not be there yet.
    view.document.documentElement.append(this.#canvas);
    this.#lie();
    this.#canvas.hidden = studyOf(view.location) !== undefined;
  }

  /** Whether a worker can draw what lies in the page. */
  static get possible(): boolean {
    return typeof OffscreenCanvas !== 'undefined' && 'transferControlToOffscreen' in HTMLCanvasElement.prototype;
  }

  room(): { width: number; height: number } {
    const { width, height } = this.#place!;
    const scale = this.#view.devicePixelRatio;
    return { width: Math.round(width * scale), height: Math.round(height * scale) };
  }

  ask(root: string, study: string): Promise<FirstAnswer> {
    return new Promise(settle => {
      this.#asked.set(study, [...(this.#asked.get(study) ?? []), settle]);
      this.#post({ type: 'ask', root, study, headers: this.#headers() });
    });
  }

  open(root: string, study: string): void {
    this.#close();
    this.#canvas.hidden = false;
    this.#post({ type: 'open', root, study, headers: this.#headers() });
    this.#end = watch(this.#view, { onLook: () => this.#lie(), onFailure: () => undefined, onShown: why => this.#shown(why) });
  }

  openVolume(root: string, study: string): void {
    this.#close();
    const { innerWidth, innerHeight, devicePixelRatio } = this.#view;
    this.#post({ type: 'volume', root, study, headers: this.#headers(), side: Math.round(devicePixelRatio * Math.min(innerWidth / 3, innerHeight)) });
  }

  end(): void {
    this.#close();
    this.#canvas.hidden = false;
    // The pane of the study that was left is still there, and may have been changed.
    this.#lie(paneAhead(this.#view));
  }

  forget(): void {
    this.#post({ type: 'forget' });
  }

  /** The viewer shows something of its own. */
  #shown(why: 'image' | 'page' | 'other'): void {
    if (why === 'image') rememberPane(this.#view);
    this.#stopWatching();
    Object.assign(this.#canvas.style, { transition: `opacity ${FADE}ms`, opacity: '0' });
    this.#fading = setTimeout(() => {
      this.#close();
      this.#canvas.hidden = true;
    }, FADE);
  }

  #close(): void {
    clearTimeout(this.#fading);
    this.#stopWatching();
    this.#post({ type: 'close' });
  }

  #stopWatching(): void {
    this.#end?.();
    this.#end = undefined;
  }

  /** Puts the canvas where the pane is or will be. */
  #lie(place = paneExpected(this.#view)): void {
    const { left, top, width, height } = place;
    if (this.#place && isAt(this.#place, place)) return;
    this.#place = place;
    Object.assign(this.#canvas.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    this.#post({ type: 'room', ...this.room(), scale: this.#view.devicePixelRatio });
  }

  #hear(message: FromPainter): void {
    if (message.type === 'answer') {
      for (const settle of this.#asked.get(message.study) ?? []) settle(message.answer);
      this.#asked.delete(message.study);
    } else if (message.type === 'drawn') {
      const { columns, rows, words, at } = message;
      this.#canvas.removeAttribute('aria-hidden');
      this.#canvas.setAttribute('role', 'img');
      this.#canvas.setAttribute('aria-label', `Preview of the first image of the study, not for diagnosis: ${words}`);
      Object.assign(this.#canvas.dataset, { columns, rows, at });
    } else {
      this.#canvas.setAttribute('aria-hidden', 'true');
      this.#canvas.removeAttribute('aria-label');
      for (const name of ['columns', 'rows', 'at']) delete this.#canvas.dataset[name];
      Object.assign(this.#canvas.style, { transition: '', opacity: '' });
    }
  }

  #post(message: ToPainter): void {
    this.#port.postMessage(message);
  }
}
