/**
 * What is measured, and whether it may be. Points are in pixels of the full image, so a length is the same on every preview; the values of a preview
 * are means of others, so values are measured on the full image only.
 */
import type { Picture } from '../dicom/picture.ts';
import { scaleAt } from '../dicom/spacing.ts';
import type { Image } from '../paint/texels.ts';
import type { Point } from './geometry.ts';

export type Kind = 'line' | 'arrow' | 'ellipse' | 'point';

export interface Mark {
  id: string;
  kind: Kind;
  instance: string;
  frame: number;
  points: Point[];
  /** Drawn by another participant of the session. */
  foreign?: boolean;
  /** What was measured; it stays when memory lets the image go. */
  words?: string;
}

/** Kinds that need the values of the full image. */
export const needsValues = (kind: Kind): boolean => kind === 'ellipse' || kind === 'point';

/** Why values cannot be measured on this image; `undefined` where they can. */
export function refusal(image: Pick<Image, 'level'> | undefined): string | undefined {
  if (!image) return 'No image is there yet: it is measured as soon as it is complete.';
  if (image.level > 0) return 'The values of a preview are not those of the image: it is measured as soon as it is complete.';
  return undefined;
}

/** The words of a mark; `undefined` while it waits for the full image. */
export function measured(picture: Picture, mark: Pick<Mark, 'kind' | 'points'>, image: Image | undefined): string | undefined {
  const [a, b] = mark.points;
  if (!a || mark.kind === 'arrow') return '';
  if (mark.kind === 'line') return b ? length(picture, a, b) : '';
  if (!image || image.level > 0 || image.components > 1 || picture.lookedUp) return image && (image.components > 1 || picture.lookedUp) ? unmeasured(picture, mark.kind, a, b) : undefined;
  return mark.kind === 'point' ? value(picture, image, a) : b ? ellipse(picture, image, a, b) : '';
}

/** Colours and labels have no mean. */
function unmeasured(picture: Picture, kind: Kind, a: Point, b: Point | undefined): string {
  return kind === 'ellipse' && b ? area(picture, a, b) : '';
}

/** A length between two points of the picture, as it is told to a reader. */
export function length(picture: Pick<Picture, 'spacing' | 'regions'>, a: Point, b: Point): string {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const scale = scaleAt(picture, [a, b]);
  if (!scale) return `${Math.hypot(dx, dy).toFixed(1)} px, not calibrated`;
  return `${Math.hypot(dx * scale.column, dy * scale.row).toFixed(1)} mm${where(scale.kind)}`;
}

const where = (kind: string): string => (kind === 'detector' ? ' at the detector' : '');

function value(picture: Picture, image: Image, { x, y }: Point): string {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= image.width || row >= image.height) return 'outside the image';
  const stored = image.samples[row * image.width + column]!;
  if (isPadding(picture, stored)) return 'padding';
  return `${figure(stored * picture.slope + picture.intercept)}${picture.unit && ` ${picture.unit}`}`;
}

/** Mean and standard deviation of the pixels whose middles are in the ellipse of a rectangle, padding left out. */
function ellipse(picture: Picture, image: Image, a: Point, b: Point): string {
  const { sum, squares, count } = inside(picture, image, a, b);
  if (count === 0) return 'no pixel inside';
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
  const unit = picture.unit && ` ${picture.unit}`;
  return `mean ${figure(mean)}${unit}, SD ${figure(deviation)}${unit}, ${area(picture, a, b)}`;
}

function inside(picture: Picture, image: Image, a: Point, b: Point): { sum: number; squares: number; count: number } {
  const [cx, cy, rx, ry] = [(a.x + b.x) / 2, (a.y + b.y) / 2, Math.abs(a.x - b.x) / 2, Math.abs(a.y - b.y) / 2];
  const found = { sum: 0, squares: 0, count: 0 };
  for (let row = Math.max(0, Math.floor(cy - ry)); row <= Math.min(image.height - 1, cy + ry); row++) {
    for (let column = Math.max(0, Math.floor(cx - rx)); column <= Math.min(image.width - 1, cx + rx); column++) {
      if (((column + 0.5 - cx) / rx) ** 2 + ((row + 0.5 - cy) / ry) ** 2 > 1) continue;
      const stored = image.samples[row * image.width + column]!;
      if (isPadding(picture, stored)) continue;
      const rescaled = stored * picture.slope + picture.intercept;
      found.sum += rescaled;
      found.squares += rescaled * rescaled;
      found.count++;
    }
  }
  return found;
}

const isPadding = ({ padding }: Picture, stored: number): boolean => padding !== undefined && stored >= padding[0] && stored <= padding[1];

function area(picture: Picture, a: Point, b: Point): string {
  const scale = scaleAt(picture, [a, b]);
  const pixels = (Math.PI * Math.abs(a.x - b.x) * Math.abs(a.y - b.y)) / 4;
  if (!scale) return `${pixels.toFixed(0)} px²`;
  const square = pixels * scale.row * scale.column;
  return `${square >= 100 ? `${(square / 100).toFixed(2)} cm²` : `${square.toFixed(1)} mm²`}${where(scale.kind)}`;
}

const figure = (value: number): string => (Number.isInteger(value) ? String(value) : Math.abs(value) >= 1000 ? value.toFixed(0) : Math.abs(value) >= 0.1 ? value.toFixed(1) : value.toPrecision(2));
