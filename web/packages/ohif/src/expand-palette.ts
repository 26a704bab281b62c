/**
 * Segmented palettes (PS3.3 C.7.9.2), which Cornerstone3D 5.6 does not know: expanded to tables of 8 bits a colour.
 */

/** Number of entries, first stored value mapped, bits of an entry (PS3.3 C.7.6.3.1.5). */
export type Descriptor = readonly [number, number, number];

/** A palette as Cornerstone3D's `imagePixelModule` gives it. */
export interface Palette {
  descriptor: [number, number, number];
  tables: [Uint8Array, Uint8Array, Uint8Array];
}

const DISCRETE = 0;
const LINEAR = 1;
const INDIRECT = 2;

/** Red, green and blue of segmented data; `null` where they cannot be expanded. */
export function expandPalette(descriptor: Descriptor, data: readonly [Uint8Array, Uint8Array, Uint8Array]): Palette | null {
  const [red, green, blue] = data.map(each => expandSegments(descriptor, each));
  if (!red || !green || !blue) return null;
  const greatest = [red, green, blue].reduce((most, table) => table.reduce((a, b) => Math.max(a, b), most), 0);
  // Some tables state 16 bits and fill 8.
  const shift = greatest > 255 ? Math.max(Math.min(descriptor[2], 16), 32 - Math.clz32(greatest)) - 8 : 0;
  const eight = (table: number[]) => Uint8Array.from(table, value => value >> shift);
  return { descriptor: [red.length, descriptor[1], 8], tables: [eight(red), eight(green), eight(blue)] };
}

/** The entries of one table, in bytes or in words as its descriptor says; who says 8 bits and writes words is found out. */
export function expandSegments(descriptor: Descriptor, data: Uint8Array): number[] | null {
  const entries = descriptor[0] || 65536;
  const inBytes = () => new Segments(data, 1, entries).expand();
  const inWords = () => new Segments(words(data), 2, entries).expand();
  const [first, second] = descriptor[2] <= 8 ? [inBytes, inWords] : [inWords, inBytes];
  const told = first();
  if (told?.length === entries) return told;
  const other = second();
  return other?.length === entries ? other : told;
}

function words(data: Uint8Array): Uint16Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Uint16Array.from({ length: data.byteLength >> 1 }, (_, i) => view.getUint16(2 * i, true));
}

class Segments {
  readonly #data: Uint8Array | Uint16Array;
  /** Bytes of a field. */
  readonly #size: number;
  readonly #entries: number;
  /** Where the segments met so far begin. */
  readonly #starts = new Set<number>();
  readonly #out: number[] = [];

  constructor(data: Uint8Array | Uint16Array, size: number, entries: number) {
    this.#data = data;
    this.#size = size;
    this.#entries = entries;
  }

  expand(): number[] | null {
    if (!this.#run(0, Infinity, true)) return null;
    this.#out.length = Math.min(this.#out.length, this.#entries);
    return this.#out;
  }

  /** Expands up to `count` segments from `at` on, until all entries are there. */
  #run(at: number, count: number, outermost: boolean): boolean {
    const data = this.#data;
    for (let n = 0; n < count && this.#out.length < this.#entries && at + 2 <= data.length; n++) {
      if (outermost) this.#starts.add(at);
      const length = data[at + 1]!;
      const body = at + 2;
      const last = this.#out.at(-1);
      if (data[at] === DISCRETE && body + length <= data.length) {
        for (let i = 0; i < length; i++) this.#out.push(data[body + i]!);
        at = body + length;
      } else if (data[at] === LINEAR && last !== undefined && body < data.length) {
        const step = (data[body]! - last) / length;
        for (let i = 1; i <= length; i++) this.#out.push(Math.round(last + step * i));
        at = body + 1;
      } else if (data[at] === INDIRECT && outermost && last !== undefined) {
        const fields = 4 / this.#size;
        if (body + fields > data.length) return false;
        let offset = 0;
        for (let i = fields - 1; i >= 0; i--) offset = offset * 2 ** (8 * this.#size) + data[body + i]!;
        // No indirect segment leads to another one.
        if (!this.#run(this.#target(offset), length, false)) return false;
        at = body + fields;
      } else {
        return false;
      }
    }
    return true;
  }

  /** Offsets count bytes; some writers count words. A segment begins there. */
  #target(offset: number): number {
    const field = offset / this.#size;
    return !this.#starts.has(field) && this.#starts.has(offset) ? offset : Math.floor(field);
  }
}
