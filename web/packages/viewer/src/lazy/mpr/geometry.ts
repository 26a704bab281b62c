/** Whether pictures make a volume, and how its voxels lie in the patient (PS3.3 C.7.6.2): tilted gantry and uneven steps included. */
import { dot, normal, type Vector } from '../../dicom/planes.ts';
import type { Picture } from '../../dicom/picture.ts';

export interface Geometry {
  columns: number;
  rows: number;
  slices: number;
  /** Unit vectors: along a row of pixels, down a column of them, across the planes. */
  right: Vector;
  down: Vector;
  across: Vector;
  /** Millimetres from pixel to pixel. */
  columnStep: number;
  rowStep: number;
  /** Of each slice against the first one, millimetres along `right`, `down` and `across`: a tilted gantry shifts slices in their plane. */
  offsets: readonly Vector[];
  /** Slices after which at least one is missing. */
  gaps: readonly number[];
}

/** Millimetres and parts of a unit vector that positions are rounded by. */
const MILLIMETRES = 0.02;
const DIRECTION = 1e-3;
/** A step of this many usual ones is a gap. */
const GAP = 1.5;

/** The geometry, or a sentence that says why there is none. `pictures` are in order along their normal. */
export function geometryOf(pictures: readonly Picture[]): Geometry | string {
  const first = pictures[0];
  if (pictures.length < 3) return 'At least three images are needed for other planes.';
  if (!first?.orientation || !first.spacing || pictures.some(one => !one.position || !one.orientation)) return 'These images do not tell where they are in the patient: other planes cannot be made of them.';
  if (first.spacing.kind !== 'patient') return 'Projections have no depth: other planes cannot be made of them.';
  if (pictures.some(one => one.samples > 1 || one.lookedUp)) return 'Colours and labels cannot be averaged: other planes are not made of them.';
  const { orientation, spacing } = first;
  const same = (one: Picture) =>
    one.rows === first.rows && one.columns === first.columns && one.frameOfReference === first.frameOfReference && one.orientation!.every((value, n) => Math.abs(value - orientation[n]!) < DIRECTION) &&
    Math.abs(one.spacing!.row - spacing.row) < 1e-4 && Math.abs(one.spacing!.column - spacing.column) < 1e-4;
  if (!pictures.every(one => one.spacing && same(one))) return 'The images of this series differ in size, direction or scale: other planes cannot be made of them.';
  const [right, down, across] = [orientation.slice(0, 3) as Vector, orientation.slice(3) as Vector, normal(orientation)];
  const offsets = pictures.map(({ position }): Vector => {
    const from = position!.map((value, n) => value - first.position![n]!);
    return [dot(from, right), dot(from, down), dot(from, across)];
  });
  const steps = offsets.slice(1).map((offset, n) => offset[2] - offsets[n]![2]);
  if (steps.some(step => step < MILLIMETRES)) return 'Several images are at the same place (phases, echoes or repeats): other planes cannot be made of them.';
  const usual = [...steps].sort((a, b) => a - b)[steps.length >> 1]!;
  const gaps = steps.flatMap((step, n) => (step > GAP * usual ? [n] : []));
  return { columns: first.columns, rows: first.rows, slices: pictures.length, right, down, across, columnStep: spacing.column, rowStep: spacing.row, offsets, gaps };
}

/** The coarsest level so that all slices fit into `bytes`, and the size of a slice then. */
export function levelWithin(bytes: number, { columns, rows, slices }: Pick<Geometry, 'columns' | 'rows' | 'slices'>, most = 5): { level: number; columns: number; rows: number } | undefined {
  for (let level = 0; level <= most; level++) {
    const [wide, high] = [Math.ceil(columns / 2 ** level), Math.ceil(rows / 2 ** level)];
    if (wide * high * slices * 2 <= bytes) return { level, columns: wide, rows: high };
  }
  return undefined;
}

/** What a reader should know of the volume. */
export function remarks(geometry: Geometry): string[] {
  const { offsets, gaps } = geometry;
  const last = offsets.at(-1)!;
  const tilt = (Math.atan2(Math.hypot(last[0], last[1]), last[2]) * 180) / Math.PI;
  const said: string[] = [];
  if (tilt > 0.5) said.push(`The gantry was tilted by ${tilt.toFixed(1)}°: slices are put where they were.`);
  if (gaps.length > 0) said.push(`${gaps.length === 1 ? 'A gap' : `${gaps.length} gaps`} between slices (after ${gaps.slice(0, 5).map(n => n + 1).join(', ')}) ${gaps.length === 1 ? 'is' : 'are'} left black.`);
  return said;
}
