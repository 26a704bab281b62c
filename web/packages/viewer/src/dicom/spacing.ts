/** How long a pixel is, and where: in the patient, at the detector, in a region of an ultrasound image (PS3.3 10.7, C.8.5.5, C.8.7.6). */
import { items, number, numbers, text, type DataSet } from './dataset.ts';

/** Where millimetres come from: they are not the same thing (PS3.3 10.7). */
export type SpacingKind = 'patient' | 'detector' | 'calibrated';

/** Millimetres from pixel to pixel, down and across. */
export interface Spacing {
  row: number;
  column: number;
  kind: SpacingKind;
}

/** A rectangle of an ultrasound image with a scale of its own; its last column and row belong to it. */
export interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Millimetres a pixel, where both axes are lengths. */
  spacing: { row: number; column: number } | undefined;
}

/**
 * Pixel Spacing is in the patient where it is there for the modality, or says that it was calibrated; Imager Pixel Spacing is at the detector, and
 * divided by the magnification where that is told (PS3.3 10.7.1.1, C.8.7.6).
 */
export function spacingOf(set: DataSet, measures: DataSet): Spacing | undefined {
  const pixel = numbers(measures, '00280030');
  const imager = numbers(set, '00181164');
  const magnification = number(set, '00181114');
  const projection = /^(CR|DX|MG|XA|RF|PX|IO|RG)$/.test(text(set, '00080060'));
  const valid = ([row, column]: number[]) => row !== undefined && column !== undefined && row > 0 && column > 0;
  if (valid(pixel)) {
    const same = valid(imager) && Math.abs(pixel[0]! - imager[0]!) < 1e-6 && Math.abs(pixel[1]! - imager[1]!) < 1e-6;
    const calibrated = text(set, '00280A02') !== '' || (valid(imager) && !same);
    if (!projection || calibrated) return { row: pixel[0]!, column: pixel[1]!, kind: calibrated && projection ? 'calibrated' : 'patient' };
    return detector(pixel, same || !valid(imager) ? magnification : undefined);
  }
  return valid(imager) ? detector(imager, magnification) : undefined;
}

function detector([row, column]: number[], magnification: number | undefined): Spacing {
  const known = magnification !== undefined && magnification >= 1;
  const by = known ? magnification : 1;
  return { row: row! / by, column: column! / by, kind: known ? 'calibrated' : 'detector' };
}

/** Physical Units of a region's axis: 3 is cm (PS3.3 C.8.5.5.1.15). */
const CENTIMETRES = 3;

/** Sequence of Ultrasound Regions (0018,6011). */
export function regionsOf(set: DataSet): Region[] {
  return items(set, '00186011').flatMap(item => {
    const [left, top, right, bottom] = ['00186018', '0018601A', '0018601C', '0018601E'].map(tag => number(item, tag));
    if (left === undefined || top === undefined || right === undefined || bottom === undefined) return [];
    const [across, down] = [number(item, '0018602C'), number(item, '0018602E')].map(value => Math.abs(value ?? 0) * 10) as [number, number];
    const lengths = number(item, '00186024') === CENTIMETRES && number(item, '00186026') === CENTIMETRES && across > 0 && down > 0;
    return [{ left, top, right, bottom, spacing: lengths ? { row: down, column: across } : undefined }];
  });
}

/** The scale that holds for all these points: that of the smallest region that has them all, else the image's own where it has no regions. */
export function scaleAt({ spacing, regions }: { spacing: Spacing | undefined; regions: readonly Region[] }, points: readonly { x: number; y: number }[]): Spacing | undefined {
  if (regions.length === 0) return spacing;
  const area = (one: Region) => (one.right - one.left) * (one.bottom - one.top);
  const around = regions.filter(one => points.every(({ x, y }) => x >= one.left && x <= one.right + 1 && y >= one.top && y <= one.bottom + 1));
  const found = around.sort((a, b) => area(a) - area(b))[0];
  return found?.spacing && { ...found.spacing, kind: 'patient' };
}
