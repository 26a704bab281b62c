/** The three planes of a volume, each as a picture that painters and corners know. */
import type { Picture } from '../../dicom/picture.ts';
import type { Vector } from '../../dicom/planes.ts';
import type { Image } from '../../paint/texels.ts';
import type { Geometry } from './geometry.ts';
import { nothingOf, type Volume } from './volume.ts';

/** Axes of the volume by number: 0 along rows of pixels, 1 down their columns, 2 across the planes. */
export interface Plane {
  name: string;
  /** Along its rows and down its columns. */
  u: 0 | 1 | 2;
  v: 0 | 1 | 2;
  /** Across it. */
  w: 0 | 1 | 2;
  /** Whether it is looked at from the other end, so that head or front is above. */
  turned: boolean;
}

const NAMES = ['Sagittal', 'Coronal', 'Axial'];

/** The name of a plane is that of the patient's axis that it is across (x: sagittal, y: coronal, z: axial). */
function nameOf(normal: Vector): string {
  const sizes = normal.map(Math.abs);
  return NAMES[sizes.indexOf(Math.max(...sizes))]!;
}

export function planesOf({ right, down, across }: Geometry): Plane[] {
  // Head, or where there is none front, is above.
  const turned = across[2] > 0.3 || (Math.abs(across[2]) <= 0.3 && across[1] < 0);
  return [
    { name: nameOf(across), u: 0, v: 1, w: 2, turned: false },
    { name: nameOf(down), u: 0, v: 2, w: 1, turned },
    { name: nameOf(right), u: 1, v: 2, w: 0, turned },
  ];
}

export interface Cut {
  picture: Picture;
  image: Image;
}

/** A plane through a point (millimetres along the volume's axes), with square pixels of the volume's finer step. */
export function cut(volume: Volume, plane: Plane, point: Vector, like: Picture): Cut {
  const { geometry, level, bounds } = volume;
  const step = Math.min(geometry.columnStep, geometry.rowStep) * 2 ** level;
  const { origin, u, v, width, height } = grid(plane, point, bounds, step);
  const samples = volume.cut(origin, u, v, width, height, nothingOf(like));
  const axes = [geometry.right, geometry.down, geometry.across];
  const direction = (steps: Vector) => [0, 1, 2].map(n => axes.reduce((sum, axis, m) => sum + axis[n]! * (steps[m]! / step), 0));
  const picture: Picture = {
    ...like,
    instance: `${plane.name} ${point[plane.w]}`,
    columns: width,
    rows: height,
    spacing: { row: step, column: step, kind: 'patient' },
    regions: [],
    orientation: [...direction(u), ...direction(v)],
    position: undefined,
  };
  return { picture, image: { width, height, components: 1, level: 0, samples } };
}

function grid({ u, v, turned, w }: Plane, point: Vector, { from, to }: { from: Vector; to: Vector }, step: number): { origin: Vector; u: Vector; v: Vector; width: number; height: number } {
  const origin: Vector = [0, 0, 0];
  origin[w] = point[w];
  origin[u] = from[u];
  origin[v] = turned ? to[v] : from[v];
  const unit = (axis: number, by: number) => [0, 1, 2].map(n => (n === axis ? by : 0)) as Vector;
  const count = (axis: 0 | 1 | 2) => Math.max(1, Math.floor((to[axis] - from[axis]) / step + 1e-6) + 1);
  return { origin, u: unit(u, step), v: unit(v, turned ? -step : step), width: count(u), height: count(v) };
}

/** The point of the volume under a point of a plane's picture. */
export function pointOn(volume: Volume, plane: Plane, through: Vector, at: { x: number; y: number }): Vector {
  const { geometry, level, bounds } = volume;
  const step = Math.min(geometry.columnStep, geometry.rowStep) * 2 ** level;
  const { origin, u, v } = grid(plane, through, bounds, step);
  return [0, 1, 2].map(n => origin[n]! + (at.x - 0.5) * u[n]! + (at.y - 0.5) * v[n]!) as Vector;
}

/** And the other way: where a point of the volume is on a plane's picture. */
export function onPlane(volume: Volume, plane: Plane, point: Vector): { x: number; y: number } {
  const { geometry, level, bounds } = volume;
  const step = Math.min(geometry.columnStep, geometry.rowStep) * 2 ** level;
  const { origin } = grid(plane, point, bounds, step);
  return { x: (point[plane.u] - origin[plane.u]) / step + 0.5, y: (plane.turned ? origin[plane.v] - point[plane.v] : point[plane.v] - origin[plane.v]) / step + 0.5 };
}
