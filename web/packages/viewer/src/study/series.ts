/** A series that is open: its data sets, and the pictures in them. */
import { text, type DataSet } from '../dicom/dataset.ts';
import { picturesOf, type Picture } from '../dicom/picture.ts';
import { sorted } from '../dicom/planes.ts';

export class Series {
  readonly study: string;
  readonly uid: string;
  readonly sets: readonly DataSet[];
  readonly pictures: readonly Picture[];
  /** Whether all of the series is here, or only its first picture. */
  readonly whole: boolean;
  readonly #byInstance: Map<string, DataSet>;

  constructor(study: string, uid: string, sets: readonly DataSet[], whole = true) {
    [this.study, this.uid, this.sets, this.whole] = [study, uid, sets, whole];
    this.pictures = asNumbered(sorted(sets.flatMap(picturesOf)));
    this.#byInstance = new Map(sets.map(set => [text(set, '00080018'), set]));
  }

  /** The data set of an instance. */
  set(instance: string): DataSet | undefined {
    return this.#byInstance.get(instance);
  }

  indexOf(instance: string, frame: number): number {
    return this.pictures.findIndex(one => one.instance === instance && one.frame === frame);
  }

  /** Where to begin: at the first of few, of several frames, else in the middle. */
  get opening(): number {
    return this.pictures.length < 8 || this.pictures[0]!.frames > 1 ? 0 : Math.floor(this.pictures.length / 2);
  }
}

/** A stack begins where its numbers do: slices from the other end are turned round. */
function asNumbered(pictures: Picture[]): Picture[] {
  const [first, last] = [pictures[0], pictures.at(-1)];
  return first && last && first.number > last.number ? pictures.reverse() : pictures;
}
