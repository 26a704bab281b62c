/**
 * The first image of a study that is opened in the list, asked for, decoded and drawn in the loading worker: OHIF keeps the page's own thread busy for
 * half a second after the click, and what is drawn there is not seen before that.
 */
import type { HtImage, Samples } from '@firstlight/htj2k';
import type { FrameLoader } from '../../loader/src/loading/frame-loader.ts';
import { valuesOf } from '../../loader/src/loading/picture.ts';
import { compose, type Drawing } from '../first-light/compose.ts';
import { paint } from '../first-light/paint.ts';
import { plan, type First, type Plan } from '../first-light/plan.ts';
import { FirstAnswers, firstFrame, type FirstAnswer } from '../src/first-document.ts';
import type { FromPainter, Study, ToPainter } from './first-messages.ts';
import { slicesAhead } from './volume-lead.ts';

/** Pictures of studies that were looked at in the list: so many are kept. */
const KEPT = 6;

/** One picture is drawn sooner by this thread than by the graphics process, which has OHIF's page to draw. */
const BY_PROCESSOR = { willReadFrequently: true };

/** The study that comes next, or is opened. */
interface Subject extends Study {
  opened: boolean;
  plan?: Plan | undefined;
}

export class FirstPainter {
  readonly #loader: () => FrameLoader | undefined;
  readonly #say: (message: FromPainter) => void;
  #context: OffscreenCanvasRenderingContext2D | undefined;
  #room = { width: 1, height: 1, scale: 1 };
  #subject: Subject | undefined;
  readonly #answers = new FirstAnswers();
  /** By the frame's URL. */
  readonly #drawings = new Map<string, Drawing>();

  constructor(loader: () => FrameLoader | undefined, say: (message: FromPainter) => void) {
    [this.#loader, this.#say] = [loader, say];
  }

  hear(message: ToPainter): void {
    switch (message.type) {
      case 'canvas':
        this.#context = message.canvas.getContext('2d', BY_PROCESSOR) ?? undefined;
        return this.#warmUp();
      case 'room':
        return this.#fit(message);
      case 'ask':
      case 'open':
        return void this.#take({ root: message.root, study: message.study, headers: message.headers, opened: message.type === 'open' });
      case 'volume':
        return void this.#ahead(message, message.side);
      case 'forget':
        this.#drawings.clear();
        return this.#answers.forget();
      case 'close':
        this.#subject = undefined;
        this.#loader()?.lead([]);
        this.#clear();
        this.#say({ type: 'cleared' });
    }
  }

  /** A level of a frame was decoded, of whatever study. */
  onImage(url: string, image: HtImage): void {
    const wanted = this.#subject?.plan;
    const { width, height, level } = image;
    // What is whole is the viewer's to show, unless nothing is shown yet.
    if (wanted?.kind !== 'level' || wanted.url !== url || (level === 0 && this.#drawings.has(url))) return;
    const samples = valuesOf(image, { slope: 1, intercept: 0, bits: wanted.picture.bitsStored }) as Samples;
    const sheet = sheetOf(new ImageData(paint(wanted.picture, { ...image, samples }), width, height));
    this.#keep(url, { image: sheet, picture: wanted.picture, level, words: wanted.words });
  }

  async #take(subject: Subject): Promise<void> {
    // What is only looked at does not take the place of what is opened.
    if (subject.opened || !this.#subject?.opened) this.#subject = subject;
    const answer = await this.#answers.ask(subject.root, subject.study, fetch, subject.headers);
    this.#say({ type: 'answer', study: subject.study, answer });
    if (this.#subject !== subject || !answer.document) return;
    subject.plan = plan(answer.document as First, subject.root, this.#room);
    if (!subject.plan || !subject.opened) return;
    if (this.#drawings.has(subject.plan.url)) this.#draw();
    if (subject.plan.kind === 'level') this.#lead(subject, subject.plan, answer);
    else if (!this.#drawings.has(subject.plan.url)) await this.#rendered(subject, subject.plan);
  }

  /** The whole frame, its level of use on the way: the page wants the same as soon as it is free. */
  #lead({ root, study, headers }: Subject, { level }: Plan & { kind: 'level' }, { document }: FirstAnswer): void {
    const frame = firstFrame(root, study, document!);
    if (!frame) return;
    const { imageId, url, shape, levels } = frame;
    this.#loader()?.lead([{ frame: imageId, url, level: 0, worth: [level], shape, levels }], headers);
  }

  /** Nothing is drawn of it: its panes show planes that only the viewer knows. */
  async #ahead({ root, study, headers }: Study, side: number): Promise<void> {
    const subject: Subject = (this.#subject = { root, study, headers, opened: true });
    const { document } = await this.#answers.ask(root, study, fetch, headers);
    const jobs = document ? await slicesAhead(subject, document, side, fetch).catch(() => []) : [];
    if (this.#subject === subject) this.#loader()?.lead(jobs, headers);
  }

  /** What must not be reduced, or is not stored by levels, is rendered by the server. */
  async #rendered(subject: Subject, { url, picture, words }: Plan): Promise<void> {
    const response = await fetch(url, { headers: { ...subject.headers, Accept: 'image/jpeg' }, priority: 'high' });
    if (!response.ok) return;
    const image = await createImageBitmap(await response.blob());
    if (this.#subject === subject) this.#keep(url, { image, picture, words });
  }

  #keep(url: string, drawing: Drawing): void {
    this.#drawings.delete(url);
    this.#drawings.set(url, drawing);
    for (const oldest of this.#drawings.keys()) if (this.#drawings.size > KEPT) this.#drawings.delete(oldest);
    if (this.#subject?.opened) this.#draw();
  }

  #draw(): void {
    const { plan: wanted, study } = this.#subject ?? {};
    const drawing = wanted && this.#drawings.get(wanted.url);
    if (!this.#context || !drawing || !study) return;
    compose({ context: this.#context, scale: this.#room.scale }, drawing);
    const { width: columns, height: rows } = drawing.image;
    this.#say({ type: 'drawn', study, at: performance.timeOrigin + performance.now(), columns, rows, words: drawing.words });
  }

  /** What a worker needs to draw, fonts and the graphics process, it gets by way of the page's own thread, the first time: so that is now. */
  #warmUp(): void {
    if (!this.#context) return;
    const image = sheetOf(new ImageData(8, 8));
    compose({ context: this.#context, scale: this.#room.scale }, { image, picture: { columns: 8, rows: 8, spacing: undefined }, level: 0, words: 'A' });
    this.#clear();
  }

  /** A canvas of another size is another surface, and the page's own thread has to put that in its place: it is made while that has time. */
  #fit({ width, height, scale }: { width: number; height: number; scale: number }): void {
    this.#room = { width, height, scale };
    if (!this.#context) return;
    Object.assign(this.#context.canvas, { width, height });
    if (this.#subject?.opened && this.#subject.plan && this.#drawings.has(this.#subject.plan.url)) this.#draw();
    else this.#clear();
  }

  #clear(): void {
    if (!this.#context) return;
    const { width, height } = this.#context.canvas;
    this.#context.clearRect(0, 0, width, height);
    // Something has to be drawn for the surface to be shown.
    this.#context.fillStyle = '#0000';
    this.#context.fillRect(0, 0, width, height);
  }
}

function sheetOf(data: ImageData): OffscreenCanvas {
  const sheet = new OffscreenCanvas(data.width, data.height);
  sheet.getContext('2d', BY_PROCESSOR)!.putImageData(data, 0, 0);
  return sheet;
}
