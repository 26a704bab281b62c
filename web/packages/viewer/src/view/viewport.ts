/** One place on the page that shows a series: its picture, how it is shown, and the words and marks on it. */
import type { FrameLevels } from '@firstlight/loader';
import { edgeLetters } from '../dicom/planes.ts';
import type { Picture } from '../dicom/picture.ts';
import type { Image, Loading } from '../load/loading.ts';
import { Stack } from '../load/stack.ts';
import { LayerMaker, pixelsEach, type Painter } from '../paint/layer.ts';
import { painterIn } from '../paint/painter.ts';
import { firstTone, rangeTone, type Tone } from '../paint/tone.ts';
import type { Series } from '../study/series.ts';
import { corners, NOTHING, quality } from './corners.ts';
import { FIT, rectangle, scaleBar, toPicture, type Point, type Size, type View } from './geometry.ts';
import { drawScene, isEmpty, type MarkBook, type Pointer } from './marks.ts';
import { measured, needsValues, type Mark } from './measure.ts';
import { overlayName, overlaysOf, type Overlay } from './overlays.ts';
import { Passing } from './passing.ts';

export interface ViewportListener {
  /** Somebody works in this one now. */
  onActive(viewport: Viewport): void;
  /** Another picture is shown, `steps` from the one before. */
  onMove(viewport: Viewport, steps: number): void;
  /** Zoom, pan, window or inversion are other ones. */
  onLook(viewport: Viewport): void;
  /** The mouse is over this point of the picture, or nowhere. */
  onPoint(viewport: Viewport, point: Point | null): void;
  /** A finer image stands there, or another series. */
  onDrawn(viewport: Viewport): void;
}

export class Viewport {
  readonly element: HTMLElement;
  readonly place: HTMLElement;
  readonly marks: MarkBook;
  readonly listener: ViewportListener;
  readonly #loading: Loading;
  readonly #over: HTMLCanvasElement;
  readonly #layers = new LayerMaker();
  readonly #resize: ResizeObserver;
  readonly #forgetMarks: () => void;
  readonly #passing = new Passing(() => this.redraw());
  /** Elements by their class; looked up once. */
  readonly #parts = new Map<string, HTMLElement>();
  /** What stands in them and in the element's data: each step would ask the page for it otherwise. */
  readonly #written = new Map<string, string>();
  #size: Size = { width: 0, height: 0 };
  #box: DOMRect | undefined;
  #painter: Painter;
  #series: Series | undefined;
  #stack: Stack | undefined;
  #at = 0;
  #view: View = FIT;
  #tone: Tone | undefined;
  #trouble = '';
  #frame = 0;
  #hint: ReturnType<typeof setTimeout> | undefined;
  #overlays: Overlay[] = [];
  /** What the listener was told last. */
  #last: string | undefined;
  /** Of others in the session. */
  pointers: Pointer[] = [];
  showsOverlays = true;

  constructor(parent: HTMLElement, loading: Loading, marks: MarkBook, listener: ViewportListener) {
    [this.#loading, this.marks, this.listener] = [loading, marks, listener];
    this.element = (document.getElementById('viewport') as HTMLTemplateElement).content.firstElementChild!.cloneNode(true) as HTMLElement;
    parent.append(this.element);
    this.place = this.#part('place');
    this.#over = this.#part('marks') as HTMLCanvasElement;
    this.#painter = painterIn(this.place, painter => {
      this.#painter = painter;
      this.redraw();
    });
    this.#resize = new ResizeObserver(() => this.#fit());
    this.#resize.observe(this.place);
    this.#forgetMarks = marks.onChange(() => this.redraw());
    this.#fit();
  }

  get series(): Series | undefined {
    return this.#series;
  }

  get at(): number {
    return this.#at;
  }

  get count(): number {
    return this.#stack?.pictures.length ?? 0;
  }

  get stack(): Stack | undefined {
    return this.#stack;
  }

  get picture(): Picture | undefined {
    return this.#stack?.pictures[this.#at];
  }

  get image(): Image | undefined {
    return this.#stack?.image(this.#at);
  }

  get view(): View {
    return this.#view;
  }

  get tone(): Tone | undefined {
    return this.#tone;
  }

  /** Device pixels. */
  get size(): Size {
    return this.#size;
  }

  get painter(): Painter {
    return this.#painter;
  }

  /** Nothing is shown from now on but this sentence. */
  clear(sentence: string): void {
    this.#stack?.close();
    [this.#stack, this.#series, this.#tone, this.#view, this.#trouble, this.#last] = [undefined, undefined, undefined, FIT, '', undefined];
    this.say(sentence);
    this.redraw();
  }

  open(series: Series, at: number, levels?: ReadonlyMap<string, FrameLevels>): void {
    this.clear('');
    this.#series = series;
    this.#stack = new Stack(
      series.pictures,
      this.#loading,
      { onImage: n => n === this.#at && this.redraw(), onTrouble: (n, sentence) => n === this.#at && this.trouble(sentence) },
      levels
    );
    this.#at = Math.min(Math.max(0, at), series.pictures.length - 1);
    this.#arrive();
  }

  /** The rest of the series came; what is shown stays. */
  extend(series: Series): void {
    const now = this.picture;
    const at = now ? series.indexOf(now.instance, now.frame) : -1;
    if (!this.#stack || at < 0) return this.open(series, series.opening);
    this.#series = series;
    this.#stack.extend(series.pictures, at);
    this.#at = at;
    this.#arrive();
  }

  go(at: number): void {
    if (!this.#stack) return;
    const next = Math.min(Math.max(0, at), this.count - 1);
    const steps = next - this.#at;
    this.#at = next;
    this.#trouble = '';
    if (steps !== 0) this.#passing.step();
    this.#arrive();
    if (steps !== 0) this.listener.onMove(this, steps);
  }

  setView(view: View): void {
    this.#view = view;
    this.look();
    this.redraw();
    this.listener.onLook(this);
  }

  setTone(tone: Tone): void {
    this.#tone = tone;
    this.redraw();
    this.listener.onLook(this);
  }

  invert(): void {
    if (this.#tone) this.setTone({ ...this.#tone, inverted: !this.#tone.inverted });
  }

  fullRange(): void {
    if (this.picture && this.image) this.setTone({ ...rangeTone(this.picture, this.image), inverted: this.#tone?.inverted ?? false });
  }

  /** As it was opened; the marks of this picture go too. */
  reset(): void {
    const now = this.picture;
    if (now) for (const mark of this.marks.of(now)) if (!mark.foreign) this.marks.remove(mark.id);
    this.#tone = undefined;
    this.setView(FIT);
  }

  say(sentence: string | Node): void {
    const place = this.#part('sentence');
    place.replaceChildren(sentence);
    place.hidden = sentence === '';
    // What may be longer than the place is scrolled by keys too.
    place.tabIndex = typeof sentence === 'string' ? -1 : 0;
  }

  trouble(sentence: string): void {
    if (sentence === this.#trouble) return;
    this.#trouble = sentence;
    this.redraw();
  }

  /** Says something at a point of the place (points of the page), for a few seconds. */
  hint(sentence: string, { x, y }: Point): void {
    const hint = this.#part('hint');
    hint.textContent = sentence;
    hint.hidden = false;
    hint.style.left = `${Math.max(8, Math.min(x, this.place.clientWidth - 250))}px`;
    hint.style.top = `${Math.max(8, Math.min(y + 14, this.place.clientHeight - 70))}px`;
    clearTimeout(this.#hint);
    this.#hint = setTimeout(() => (hint.hidden = true), 5000);
  }

  /** A point of the page as one of the place, device pixels. The place does not move under a pointer that does. */
  point(event: { clientX: number; clientY: number; type: string }): Point {
    const box = (this.#box = event.type === 'pointermove' && this.#box ? this.#box : this.place.getBoundingClientRect());
    const ratio = this.size.width / (box.width || 1);
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  inPicture(point: Point): Point | undefined {
    return this.picture && toPicture(this.picture, this.size, this.#view, point);
  }

  /** Settles when what is shown here has been asked for. */
  sent(): Promise<void> {
    return this.image ? Promise.resolve() : this.#loading.sent();
  }

  /** Tells the loader what the eye sees. */
  look(): void {
    const now = this.picture;
    if (!now || this.size.width === 0) return;
    const lies = rectangle(now, this.size, this.#view);
    this.#stack!.look(this.#at, { width: lies.width, height: lies.height });
  }

  redraw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.draw());
  }

  draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const [now, image] = [this.picture, this.image];
    if (now && image) this.#tone ??= firstTone(now, image);
    this.#describe(now, image);
    const each = this.#passing.pixelsEach(now && image && pixelsEach(now, image.level, this.#size, this.#view));
    this.#fitCanvas(each);
    const place = { width: this.#size.width / each, height: this.#size.height / each };
    const view = { zoom: this.#view.zoom, pan: { x: this.#view.pan.x / each, y: this.#view.pan.y / each } };
    this.#painter.paint(now && image && this.#tone ? this.#layers.make(now, image, this.#tone, place, view) : undefined);
    this.#drawOver(now, image);
    if (now) this.#drawn(now, image);
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#passing.close();
    this.#resize.disconnect();
    this.#forgetMarks();
    this.#stack?.close();
    this.#stack = undefined;
    this.#painter.close();
    this.element.remove();
  }

  /** Marks, pointers and overlays. Without any, their canvas is none that every picture would have to be mixed with. */
  #drawOver(now: Picture | undefined, image: Image | undefined): void {
    this.#bar(now);
    if (!now) return this.#hideOver(true);
    const scene = {
      picture: now,
      place: this.size,
      view: this.#view,
      ratio: devicePixelRatio || 1,
      marks: this.marks.of(now).map(mark => ({ mark, words: this.#words(now, mark, image) })),
      pointers: this.pointers,
      overlays: this.showsOverlays ? this.#overlays : [],
    };
    this.#hideOver(isEmpty(scene));
    if (!this.#over.hidden) drawScene(this.#over.getContext('2d')!, scene);
  }

  #hideOver(hidden: boolean): void {
    if (this.#over.hidden !== hidden) this.#over.hidden = hidden;
  }

  #bar(now: Picture | undefined): void {
    const ratio = devicePixelRatio || 1;
    const bar = now && scaleBar(now, this.#size, this.#view, ratio);
    this.#put('bar', bar?.label ?? '');
    this.#write('bar width', bar ? `${bar.pixels / ratio}px` : '', width => (this.#part('bar').style.width = width));
  }

  #arrive(): void {
    this.look();
    this.redraw();
    const [now, set] = [this.picture, this.picture && this.#series?.set(this.picture.instance)];
    this.#overlays = [];
    if (!now || !set || overlayName(set) === undefined) return;
    overlaysOf(set, now).then(found => {
      if (this.picture !== now || found.length === 0) return;
      this.#overlays = found;
      this.redraw();
    }, () => undefined);
  }

  /** What a mark says; what was once measured stays. */
  #words(now: Picture, mark: Mark, image: Image | undefined): string | undefined {
    if (mark.words === undefined || !needsValues(mark.kind)) {
      const words = measured(now, mark, image);
      if (words !== undefined) mark.words = words;
    }
    return mark.words;
  }

  #drawn(now: Picture, image: Image | undefined): void {
    // A picture that has not come yet tells nothing of those around it.
    if (!image) return;
    const what = `${now.series} ${image.level} ${this.#series!.whole}`;
    if (what === this.#last) return;
    this.#last = what;
    this.listener.onDrawn(this);
  }

  /** Words on the image, and what tests and readers of the page's structure find. */
  #describe(now: Picture | undefined, image: Image | undefined): void {
    const count = this.#series?.whole ? String(this.count) : '…';
    const told = now ? corners(this.#series!.set(now.instance), now, { at: this.#at, count }, this.#tone) : NOTHING;
    for (const [corner, words] of Object.entries(told)) this.#put(corner, words);
    const letters = now && edgeLetters(now);
    for (const edge of ['left', 'right', 'top', 'bottom'] as const) this.#put(`edge-${edge}`, letters?.[edge] ?? '');
    this.#put('quality', now || this.#trouble ? quality(this.#trouble, image) : '');
    this.#tell('level', image ? String(image.level) : '');
    this.#tell('index', now ? String(this.#at) : '');
    this.#tell('instance', now?.instance ?? '');
    // Nobody is read every picture that passes.
    if (now && !this.#passing.now) this.#write('label', `Image ${this.#at + 1} of ${count}, ${told.patient.replaceAll('\n', ', ')}, ${told.series.replaceAll('\n', ', ')}`, label => this.place.setAttribute('aria-label', label));
  }

  #put(part: string, words: string): void {
    this.#write(part, words, words => (this.#part(part).textContent = words));
  }

  #tell(name: string, value: string): void {
    this.#write(`data ${name}`, value, value => (this.element.dataset[name] = value));
  }

  /** Changes the page only where something has changed. */
  #write(what: string, value: string, write: (value: string) => void): void {
    if (this.#written.get(what) === value) return;
    this.#written.set(what, value);
    write(value);
  }

  #part(name: string): HTMLElement {
    if (!this.#parts.has(name)) this.#parts.set(name, this.element.querySelector<HTMLElement>(`.${name}`)!);
    return this.#parts.get(name)!;
  }

  #fit(): void {
    const box = (this.#box = this.place.getBoundingClientRect());
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    [this.#over.width, this.#over.height] = [width, height];
    this.look();
    this.draw();
  }

  /** The canvas of the picture: one of its pixels for so many device pixels each way. */
  #fitCanvas(each: number): void {
    const { canvas } = this.#painter;
    const [width, height] = [Math.ceil(this.#size.width / each), Math.ceil(this.#size.height / each)];
    if (width === canvas.width && height === canvas.height) return;
    [canvas.width, canvas.height] = [width, height];
    const points = (pixels: number) => (each === 1 ? '' : `${(pixels * each) / (devicePixelRatio || 1)}px`);
    [canvas.style.width, canvas.style.height] = [points(width), points(height)];
  }
}
