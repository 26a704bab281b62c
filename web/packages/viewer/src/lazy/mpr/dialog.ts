/** Axial, sagittal and coronal planes of the series in a viewport, which fill as its slices come. For looking: nothing is measured here. */
import { byId, make, openDialog } from '../../dom.ts';
import type { Picture } from '../../dicom/picture.ts';
import { edgeLetters, sorted, type Vector } from '../../dicom/planes.ts';
import type { Loading } from '../../load/loading.ts';
import { LayerMaker, type Painter } from '../../paint/layer.ts';
import { painterIn } from '../../paint/painter.ts';
import type { Tone } from '../../paint/tone.ts';
import { corners } from '../../view/corners.ts';
import { FIT, scaleBar, toPicture, toScreen } from '../../view/geometry.ts';
import type { Viewport } from '../../view/viewport.ts';
import { geometryOf, levelWithin, remarks } from './geometry.ts';
import { cut, onPlane, planesOf, pointOn, type Cut, type Plane } from './planes.ts';
import { Volume } from './volume.ts';

export function showReformat(viewport: Viewport, loading: Loading): void {
  const { series, stack } = viewport;
  const refuse = (sentence: string) => void openDialog('Axial, sagittal, coronal', make('p', { role: 'alert' }, sentence));
  if (!series?.whole || !stack) return refuse('The series is still being read: try again in a moment.');
  // Slices are counted along their normal, which a stack need not be.
  const slices = sorted(series.pictures);
  const sliceOf = series.pictures.map(picture => slices.indexOf(picture));
  const geometry = geometryOf(slices);
  if (typeof geometry === 'string') return refuse(geometry);
  const size = levelWithin(loading.budget.volume, geometry);
  if (!size) return refuse('This series is too large for the memory of this page: OHIF can reformat it.');
  const like = series.pictures[viewport.at]!;
  if (like.bitsAllocated > 16) return refuse('Values of more than 16 bits are not reformatted here.');
  const volume = new Volume(geometry, size, like.signed);
  const reformat = new Reformat(volume, viewport, like, sliceOf[viewport.at]!, remarks(geometry));
  stack.collect(size.level, (at, image) => {
    volume.put(sliceOf[at]!, image);
    reformat.redraw();
  });
  byId('dialog').addEventListener('close', () => {
    stack.endCollection();
    reformat.close();
  }, { once: true });
}

interface Pane {
  plane: Plane;
  element: HTMLElement;
  painter: Painter;
  over: HTMLCanvasElement;
  layers: LayerMaker;
  cut: Cut | undefined;
}

class Reformat {
  readonly #volume: Volume;
  readonly #viewport: Viewport;
  readonly #like: Picture;
  readonly #panes: Pane[];
  readonly #said: HTMLElement;
  readonly #remarks: readonly string[];
  readonly #resize: ResizeObserver;
  #point: Vector;
  #tone: Tone;
  #frame = 0;

  constructor(volume: Volume, viewport: Viewport, like: Picture, slice: number, remarks: readonly string[]) {
    [this.#volume, this.#viewport, this.#like, this.#remarks] = [volume, viewport, like, remarks];
    this.#tone = viewport.tone ?? { centre: 40, width: 400, inverted: false };
    const { from, to } = volume.bounds;
    this.#point = from.map((value, n) => (value + to[n]!) / 2) as Vector;
    this.#point[2] = volume.geometry.offsets[slice]![2];
    this.#said = make('p', { className: 'dim', id: 'reformat-state' });
    this.#said.setAttribute('role', 'status');
    const places = make('div', { className: 'reformat' });
    openDialog('Axial, sagittal, coronal', this.#said, places).classList.add('wide');
    this.#panes = planesOf(volume.geometry).map(plane => this.#makePane(plane, places));
    this.#resize = new ResizeObserver(() => this.redraw());
    this.#resize.observe(places);
    this.redraw();
  }

  redraw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
    this.#resize.disconnect();
    for (const { painter } of this.#panes) painter.close();
    byId('dialog').classList.remove('wide');
    byId('dialog-body').replaceChildren();
  }

  #makePane(plane: Plane, places: HTMLElement): Pane {
    const words = make('p', { className: 'corner top left' });
    const over = make('canvas', { className: 'marks' });
    const element = make('div', { className: 'place', tabIndex: 0, data: { plane: plane.name } }, over, words, ...(['left', 'right', 'top', 'bottom'] as const).map(edge => make('i', { className: `edge edge-${edge}` })));
    element.setAttribute('role', 'application');
    element.setAttribute('aria-label', plane.name);
    places.append(element);
    const pane: Pane = { plane, element, over, layers: new LayerMaker(), cut: undefined, painter: painterIn(element, painter => {
      pane.painter = painter;
      this.redraw();
    }) };
    this.#hands(pane);
    return pane;
  }

  #hands(pane: Pane): void {
    const { element, plane } = pane;
    const step = (by: number) => this.#move(plane.w, this.#point[plane.w] + by * (plane.w === 2 ? this.#sliceStep() : this.#volume.geometry.columnStep * 2 ** this.#volume.level));
    element.addEventListener('wheel', event => {
      event.preventDefault();
      step(Math.sign(event.deltaY));
    }, { passive: false });
    element.addEventListener('keydown', event => {
      const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      step(by);
    });
    const jump = (event: PointerEvent) => {
      if (event.buttons !== 1 || !pane.cut) return;
      const box = element.getBoundingClientRect();
      const ratio = pane.painter.canvas.width / box.width;
      const at = toPicture(pane.cut.picture, pane.painter.canvas, FIT, { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio });
      const point = pointOn(this.#volume, plane, this.#point, at);
      for (const axis of [plane.u, plane.v]) this.#move(axis, point[axis]);
    };
    element.addEventListener('pointerdown', event => {
      element.setPointerCapture(event.pointerId);
      jump(event);
    });
    element.addEventListener('pointermove', jump);
  }

  #sliceStep(): number {
    const { from, to } = this.#volume.bounds;
    return (to[2] - from[2]) / Math.max(1, this.#volume.geometry.slices - 1);
  }

  #move(axis: 0 | 1 | 2, value: number): void {
    const { from, to } = this.#volume.bounds;
    this.#point[axis] = Math.min(Math.max(from[axis], value), to[axis]);
    this.redraw();
  }

  #draw(): void {
    this.#frame = 0;
    const { count, geometry, level } = this.#volume;
    const quality = [count < geometry.slices ? `${count} of ${geometry.slices} slices; what is black has not arrived` : 'All slices', level > 0 ? `1/${2 ** level} of the resolution` : 'full resolution', 'interpolated between slices'];
    this.#said.textContent = [quality.join(', ') + '.', ...this.#remarks].join(' ');
    this.#said.dataset.count = String(count);
    const told = corners(this.#viewport.series?.set(this.#like.instance), this.#like, { at: 0, count: '' }, undefined);
    for (const pane of this.#panes) this.#drawPane(pane, told.patient);
  }

  #drawPane(pane: Pane, patient: string): void {
    const { plane, element, over } = pane;
    const ratio = devicePixelRatio || 1;
    const box = element.getBoundingClientRect();
    const { canvas } = pane.painter;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) for (const one of [canvas, over]) [one.width, one.height] = [width, height];
    pane.cut = cut(this.#volume, plane, this.#point, this.#like);
    const { picture, image } = pane.cut;
    pane.painter.paint(pane.layers.make(picture, image, this.#tone, canvas, FIT));
    element.querySelector('.corner')!.textContent = `${plane.name}\n${patient}`;
    const letters = edgeLetters(picture);
    for (const edge of ['left', 'right', 'top', 'bottom'] as const) element.querySelector(`.edge-${edge}`)!.textContent = letters?.[edge] ?? '';
    this.#drawCross(pane, ratio);
  }

  #drawCross({ plane, over, cut: shown }: Pane, ratio: number): void {
    const context = over.getContext('2d')!;
    context.clearRect(0, 0, over.width, over.height);
    const { x, y } = toScreen(shown!.picture, over, FIT, onPlane(this.#volume, plane, this.#point));
    context.strokeStyle = '#ffd86699';
    context.lineWidth = ratio;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, over.height);
    context.moveTo(0, y);
    context.lineTo(over.width, y);
    context.stroke();
    const bar = scaleBar(shown!.picture, over, FIT, ratio);
    if (!bar) return;
    context.strokeStyle = context.fillStyle = '#e6edf3';
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.strokeRect((over.width - bar.pixels) / 2, over.height - 8 * ratio, bar.pixels, 0.5);
    context.fillText(bar.label, (over.width + bar.pixels) / 2 + 6 * ratio, over.height - 5 * ratio);
  }
}
