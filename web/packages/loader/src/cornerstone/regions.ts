/** Rectangles of pixels within a slice: some rows or columns that are known beside its level. */
import type { PixelArray } from '../loading/picture.ts';

/** In pixels of the full image. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Whether one of them holds all of another. */
export function covers(regions: readonly Region[], { x, y, width, height }: Region): boolean {
  return regions.some(each => each.x <= x && each.y <= y && each.x + each.width >= x + width && each.y + each.height >= y + height);
}

/** Writes values of a region, row by row, into an image of so many columns. */
export function putRegion(image: PixelArray, columns: number, { x, y, width, height }: Region, values: PixelArray): void {
  for (let row = 0; row < height; row++) image.set(values.subarray(row * width, (row + 1) * width), (y + row) * columns + x);
}
