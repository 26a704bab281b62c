/** What is drawn on images: kept for the page by instance, so that every viewport that shows an image shows its marks. */
import type { Picture } from '../dicom/picture.ts';
import { toScreen, type Point, type Size, type View } from './geometry.ts';
import type { Mark } from './measure.ts';

/** Marks that are kept; a session may bring many. */
const MOST = 1000;

export class MarkBook {
  #marks: Mark[] = [];
  readonly #listeners = new Set<() => void>();

  get all(): readonly Mark[] {
    return this.#marks;
  }

  of({ instance, frame }: Pick<Picture, 'instance' | 'frame'>): Mark[] {
    return this.#marks.filter(mark => mark.instance === instance && mark.frame === frame);
  }

  /** Adds a mark, or replaces the one of its name. */
  put(mark: Mark): void {
    this.#marks = [...this.#marks.filter(({ id }) => id !== mark.id), mark].slice(-MOST);
    this.#changed();
  }

  remove(id: string): void {
    this.#marks = this.#marks.filter(mark => mark.id !== id);
    this.#changed();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

export const newId = (): string => Array.from(crypto.getRandomValues(new Uint8Array(9)), byte => byte.toString(36).padStart(2, '0')).join('').slice(0, 12);

const OWN = '#ffd866';
const FOREIGN = '#7ee2ff';

/** Where somebody else of the session points. */
export interface Pointer {
  at: Point;
  name: string;
}

export interface Scene {
  picture: Picture;
  place: Size;
  view: View;
  /** Device pixels a point of the page. */
  ratio: number;
  /** With their words; those of a mark that waits are `undefined`. */
  marks: readonly { mark: Mark; words: string | undefined }[];
  pointers: readonly Pointer[];
  overlays: readonly { image: CanvasImageSource; x: number; y: number; width: number; height: number }[];
}

/** Whether there is anything to draw. */
export const isEmpty = ({ marks, pointers, overlays }: Scene): boolean => marks.length + pointers.length + overlays.length === 0;

export function drawScene(context: CanvasRenderingContext2D, scene: Scene): void {
  const { picture, place, view, ratio } = scene;
  context.clearRect(0, 0, place.width, place.height);
  const at = (point: Point) => toScreen(picture, place, view, point);
  context.imageSmoothingEnabled = false;
  for (const { image, x, y, width, height } of scene.overlays) {
    const [from, to] = [at({ x, y }), at({ x: x + width, y: y + height })];
    context.drawImage(image, from.x, from.y, to.x - from.x, to.y - from.y);
  }
  context.lineWidth = 1.5 * ratio;
  context.font = `${13 * ratio}px system-ui, sans-serif`;
  context.shadowColor = '#000';
  context.shadowBlur = 3 * ratio;
  for (const { mark, words } of scene.marks) drawMark(context, mark, words ?? 'waits for the full image', mark.points.map(at), ratio, words === undefined);
  for (const { at: point, name } of scene.pointers) drawPointer(context, at(point), name, ratio);
}

function drawMark(context: CanvasRenderingContext2D, mark: Mark, words: string, [a, b]: Point[], ratio: number, waits: boolean): void {
  if (!a) return;
  context.strokeStyle = context.fillStyle = mark.foreign ? FOREIGN : OWN;
  context.setLineDash(waits ? [4 * ratio, 4 * ratio] : []);
  context.beginPath();
  if (mark.kind === 'point' || !b) {
    context.arc(a.x, a.y, 4 * ratio, 0, 2 * Math.PI);
  } else if (mark.kind === 'ellipse') {
    context.ellipse((a.x + b.x) / 2, (a.y + b.y) / 2, Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2, 0, 0, 2 * Math.PI);
  } else {
    context.moveTo(a.x, a.y);
    context.lineTo(b.x, b.y);
    if (mark.kind === 'arrow') {
      const angle = Math.atan2(b.y - a.y, b.x - a.x);
      for (const side of [-0.4, 0.4]) {
        context.moveTo(b.x, b.y);
        context.lineTo(b.x - 12 * ratio * Math.cos(angle + side), b.y - 12 * ratio * Math.sin(angle + side));
      }
    }
  }
  context.stroke();
  context.setLineDash([]);
  const beside = mark.kind === 'point' || !b ? a : mark.kind === 'ellipse' ? { x: Math.max(a.x, b.x), y: (a.y + b.y) / 2 } : { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  if (words) write(context, words, beside, ratio);
}

/** Words stay inside of the place, whichever side the mark is on. */
function write(context: CanvasRenderingContext2D, words: string, beside: Point, ratio: number): void {
  const room = context.canvas.width - 8 * ratio;
  const lines = context.measureText(words).width > room * 0.6 ? words.split(', ') : [words];
  const wide = Math.max(...lines.map(line => context.measureText(line).width));
  const x = Math.max(4 * ratio, Math.min(beside.x + 8 * ratio, room - wide));
  lines.forEach((line, n) => context.fillText(line, x, beside.y - 6 * ratio + n * 16 * ratio));
}

function drawPointer(context: CanvasRenderingContext2D, { x, y }: Point, name: string, ratio: number): void {
  context.strokeStyle = context.fillStyle = FOREIGN;
  context.beginPath();
  context.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
  context.stroke();
  write(context, name, { x, y }, ratio);
}
