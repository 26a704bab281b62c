/** Where pictures are in the patient: the Image Plane Module (PS3.3 C.7.6.2), and the letters at the edges (C.7.6.1.1.1). */
import type { Picture } from './picture.ts';

export type Vector = [number, number, number];

export const dot = (a: readonly number[], b: readonly number[]): number => a[0]! * b[0]! + a[1]! * b[1]! + a[2]! * b[2]!;

/** The normal of a plane, from Image Orientation (Patient). */
export function normal([a, b, c, d, e, f]: readonly number[]): Vector {
  return [b! * f! - c! * e!, c! * d! - a! * f!, a! * e! - b! * d!];
}

/** Millimetres along a normal; `undefined` for pictures that are nowhere in space. */
export function along({ orientation, position }: Pick<Picture, 'orientation' | 'position'>): number | undefined {
  return orientation && position && dot(normal(orientation), position);
}

/** Pictures of a series as a person looks through them: along the normal of their planes, else by number. */
export function sorted(pictures: readonly Picture[]): Picture[] {
  const first = pictures[0];
  const axis = first?.orientation && pictures.every(one => one.position && one.orientation) ? normal(first.orientation) : undefined;
  const place = (one: Picture) => (axis ? dot(axis, one.position!) : 0);
  return [...pictures].sort((a, b) => place(a) - place(b) || a.number - b.number || a.frame - b.frame || a.instance.localeCompare(b.instance));
}

export interface Letters {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** Where left, right, top and bottom of the picture are in the patient. */
export function edgeLetters({ orientation, patientOrientation }: Pick<Picture, 'orientation' | 'patientOrientation'>): Letters | undefined {
  const told = orientation ? [letters(orientation.slice(0, 3)), letters(orientation.slice(3))] : patientOrientation;
  if (!told) return undefined;
  const [right, bottom] = told as [string, string];
  const opposite = (of: string) => [...of].map(letter => 'LRAPHF'['RLPAFH'.indexOf(letter)] ?? letter).join('');
  return { left: opposite(right), right, top: opposite(bottom), bottom };
}

/** A direction in the patient, the axis that it follows most first. */
function letters(direction: readonly number[]): string {
  const axes = direction.map((value, n) => ({ value: Math.abs(value), letter: ['RL', 'AP', 'FH'][n]![value > 0 ? 1 : 0]! }));
  return axes.filter(({ value }) => value > 0.1).sort((a, b) => b.value - a.value).map(({ letter }) => letter).join('');
}

/**
 * The picture of `others` that belongs to `now` when two stacks scroll together: the nearest along the normal where both are in one Frame of
 * Reference and lie alike, else as many steps from where it was as `now` went.
 */
export function counterpart(now: Picture, steps: number, others: readonly Picture[], was: number): number {
  const place = along(now);
  const other = others[was];
  const alike =
    other?.orientation && now.orientation && now.frameOfReference !== '' && now.frameOfReference === other.frameOfReference && dot(normal(now.orientation), normal(other.orientation)) > 0.99;
  if (!alike || place === undefined) return Math.min(Math.max(0, was + steps), others.length - 1);
  let [best, least] = [was, Infinity];
  others.forEach((one, n) => {
    const far = one.position ? Math.abs(dot(normal(now.orientation!), one.position) - place) : Infinity;
    if (far < least) [best, least] = [n, far];
  });
  return best;
}
