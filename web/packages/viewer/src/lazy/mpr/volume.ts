/** The voxels of a series at one level, and planes cut out of them. */
import type { Picture } from '../../dicom/picture.ts';
import type { Vector } from '../../dicom/planes.ts';
import type { Image } from '../../load/loading.ts';
import type { Geometry } from './geometry.ts';

/** Of a voxel: what rounding may put beyond the outermost middles. */
const EDGE = 1e-3;

export class Volume {
  readonly geometry: Geometry;
  readonly level: number;
  readonly columns: number;
  readonly rows: number;
  readonly filled: Uint8Array;
  readonly signed: boolean;
  readonly #voxels: Int16Array | Uint16Array;
  #count = 0;

  constructor(geometry: Geometry, size: { level: number; columns: number; rows: number }, signed: boolean) {
    this.geometry = geometry;
    [this.level, this.columns, this.rows, this.signed] = [size.level, size.columns, size.rows, signed];
    const count = size.columns * size.rows * geometry.slices;
    this.#voxels = signed ? new Int16Array(count) : new Uint16Array(count);
    this.filled = new Uint8Array(geometry.slices);
  }

  /** Slices that are there. */
  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#voxels.byteLength;
  }

  /** Takes a slice, at this level or a finer one. */
  put(slice: number, image: Image): void {
    if (this.filled[slice]) return;
    const by = 2 ** (this.level - image.level);
    const at = slice * this.columns * this.rows;
    if (by === 1) this.#voxels.set(image.samples.subarray(0, this.columns * this.rows), at);
    else this.#reduce(at, image, by);
    this.filled[slice] = 1;
    this.#count++;
  }

  /** As a codestream has its levels: a voxel stands at every `by`-th sample, and is the mean of those around it. */
  #reduce(at: number, { samples, width, height }: Image, by: number): void {
    const half = by >> 1;
    for (let y = 0; y < this.rows; y++) {
      for (let x = 0; x < this.columns; x++) {
        let [sum, count] = [0, 0];
        for (let row = Math.max(0, y * by - half); row <= Math.min(height - 1, y * by + half); row++) {
          for (let column = Math.max(0, x * by - half); column <= Math.min(width - 1, x * by + half); column++, count++) sum += samples[row * width + column]!;
        }
        this.#voxels[at + y * this.columns + x] = count > 0 ? Math.round(sum / count) : 0;
      }
    }
  }

  /** The size of the volume, millimetres along `right`, `down` and `across`, and where it begins (a tilted gantry moves it). */
  get bounds(): { from: Vector; to: Vector } {
    const { offsets, columns, rows, columnStep, rowStep } = this.geometry;
    const least = (axis: 0 | 1 | 2) => Math.min(offsets[0]![axis], offsets.at(-1)![axis]);
    const most = (axis: 0 | 1 | 2) => Math.max(offsets[0]![axis], offsets.at(-1)![axis]);
    return { from: [least(0), least(1), least(2)], to: [most(0) + (columns - 1) * columnStep, most(1) + (rows - 1) * rowStep, most(2)] };
  }

  /**
   * A plane: `origin` is its upper left corner, `u` and `v` the steps to the next column and row, in millimetres along the volume's axes. What is
   * outside, in a gap or not there yet has `nothing`.
   */
  cut(origin: Vector, u: Vector, v: Vector, width: number, height: number, nothing: number): Int16Array | Uint16Array {
    const out = this.signed ? new Int16Array(width * height) : new Uint16Array(width * height);
    for (let y = 0, to = 0; y < height; y++) {
      for (let x = 0; x < width; x++, to++) {
        const value = this.#at(origin[0] + x * u[0] + y * v[0], origin[1] + x * u[1] + y * v[1], origin[2] + x * u[2] + y * v[2]);
        out[to] = value === undefined ? nothing : Math.round(value);
      }
    }
    return out;
  }

  /** The value at a point, between the two slices around it, each where it was taken. */
  #at(right: number, down: number, across: number): number | undefined {
    const { offsets, gaps } = this.geometry;
    const slice = this.#sliceBefore(across);
    if (slice < 0) return undefined;
    const next = Math.min(slice + 1, offsets.length - 1);
    const step = offsets[next]![2] - offsets[slice]![2];
    const share = step > 0 ? (across - offsets[slice]![2]) / step : 0;
    // At a slice itself its neighbour need not be there.
    if (share < 0.01) return this.#inSlice(slice, right, down);
    if (share > 0.99) return this.#inSlice(next, right, down);
    if (gaps.includes(slice)) return undefined;
    const [a, b] = [this.#inSlice(slice, right, down, share), this.#inSlice(next, right, down, share - 1)];
    return a === undefined || b === undefined ? undefined : a + (b - a) * share;
  }

  /** The last slice that is not beyond a point; -1 outside of the volume. */
  #sliceBefore(across: number): number {
    const { offsets } = this.geometry;
    if (across < offsets[0]![2] - 1e-6 || across > offsets.at(-1)![2] + 1e-6) return -1;
    let [low, high] = [0, offsets.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (offsets[middle]![2] <= across + 1e-9) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** `along` is how far a point is from this slice, in steps to the one on its other side: a tilted stack is interpolated along its own axis. */
  #inSlice(slice: number, right: number, down: number, along = 0): number | undefined {
    if (!this.filled[slice]) return undefined;
    const { offsets, columnStep, rowStep } = this.geometry;
    const other = offsets[along > 0 ? slice + 1 : along < 0 ? slice - 1 : slice]!;
    const own = offsets[slice]!;
    const part = Math.abs(along);
    const scale = 2 ** this.level;
    const x = (right - own[0] - (other[0] - own[0]) * part) / (columnStep * scale);
    const y = (down - own[1] - (other[1] - own[1]) * part) / (rowStep * scale);
    if (x < -EDGE || y < -EDGE || x > this.columns - 1 + EDGE || y > this.rows - 1 + EDGE) return undefined;
    const [x0, y0] = [Math.min(Math.max(0, Math.floor(x)), this.columns - 1), Math.min(Math.max(0, Math.floor(y)), this.rows - 1)];
    const [x1, y1] = [Math.min(x0 + 1, this.columns - 1), Math.min(y0 + 1, this.rows - 1)];
    const [fx, fy] = [Math.min(Math.max(0, x - x0), 1), Math.min(Math.max(0, y - y0), 1)];
    const at = slice * this.columns * this.rows;
    const voxel = (column: number, row: number) => this.#voxels[at + row * this.columns + column]!;
    const upper = voxel(x0, y0) + (voxel(x1, y0) - voxel(x0, y0)) * fx;
    const under = voxel(x0, y1) + (voxel(x1, y1) - voxel(x0, y1)) * fx;
    return upper + (under - upper) * fy;
  }
}

/** What stands where nothing is: the least value that the pictures can have. */
export function nothingOf({ signed, bitsStored, padding }: Pick<Picture, 'signed' | 'bitsStored' | 'padding'>): number {
  return padding ? padding[0] : signed ? -(2 ** (Math.min(16, bitsStored) - 1)) : 0;
}
