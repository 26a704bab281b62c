/**
 * How a picture lies in its place on the screen: zoom, pan, and the way between points of the screen and points of the picture.
 *
 * Points of the picture are in pixels of the full image, whichever level is drawn: what is measured on a preview is where it is on the full image.
 */
import type { Picture } from '../dicom/picture.ts';
import { scaleAt } from '../dicom/spacing.ts';

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface View {
  /** Device pixels that one millimetre-square pixel of the picture takes, beyond what fits: 1 fits. */
  zoom: number;
  /** The picture's middle against the place's, device pixels. */
  pan: Point;
}

export const FIT: View = { zoom: 1, pan: { x: 0, y: 0 } };

/** Height of a pixel against its width: from the spacing, for pixels that are not square. */
export function aspect(picture: Picture): number {
  return picture.spacing ? picture.spacing.row / picture.spacing.column : 1;
}

/** Device pixels across one pixel of the full image. */
export function scale(picture: Picture, place: Size, view: View): Point {
  const tall = aspect(picture);
  const fit = Math.min(place.width / picture.columns, place.height / (picture.rows * tall));
  return { x: fit * view.zoom, y: fit * tall * view.zoom };
}

/** Where the picture lies: its upper left corner and its size, device pixels. */
export function rectangle(picture: Picture, place: Size, view: View): { x: number; y: number; width: number; height: number } {
  const by = scale(picture, place, view);
  const [width, height] = [picture.columns * by.x, picture.rows * by.y];
  return { x: (place.width - width) / 2 + view.pan.x, y: (place.height - height) / 2 + view.pan.y, width, height };
}

/** A point of the screen (device pixels of the place) as a point of the picture. */
export function toPicture(picture: Picture, place: Size, view: View, at: Point): Point {
  const lies = rectangle(picture, place, view);
  return { x: ((at.x - lies.x) / lies.width) * picture.columns, y: ((at.y - lies.y) / lies.height) * picture.rows };
}

export function toScreen(picture: Picture, place: Size, view: View, at: Point): Point {
  const lies = rectangle(picture, place, view);
  return { x: lies.x + (at.x / picture.columns) * lies.width, y: lies.y + (at.y / picture.rows) * lies.height };
}

/** The same view with the zoom changed, the picture's point under `at` staying where it is. */
export function zoomed(picture: Picture, place: Size, view: View, by: number, at: Point): View {
  const zoom = Math.min(Math.max(view.zoom * by, 0.2), 60);
  const held = toPicture(picture, place, view, at);
  const moved = toScreen(picture, place, { zoom, pan: view.pan }, held);
  return { zoom, pan: { x: view.pan.x + at.x - moved.x, y: view.pan.y + at.y - moved.y } };
}

/** A bar of a round length, of 60 to 160 points of the screen where it can be. */
export function scaleBar(picture: Picture, place: Size, view: View, ratio: number): { label: string; pixels: number } | undefined {
  const spacing = scaleAt(picture, [{ x: picture.columns / 2, y: picture.rows / 2 }]);
  if (!spacing) return undefined;
  const perMillimetre = scale(picture, place, view).x / spacing.column;
  for (const millimetres of [1, 2, 5, 10, 20, 50, 100, 200, 500]) {
    const pixels = millimetres * perMillimetre;
    if (pixels >= 60 * ratio) {
      if (pixels > place.width) return undefined;
      const length = millimetres >= 10 ? `${millimetres / 10} cm` : `${millimetres} mm`;
      return { label: spacing.kind === 'detector' ? `${length} at the detector` : length, pixels };
    }
  }
  return undefined;
}
