/** Overlays of an image, groups 6000 to 601E: one bit a pixel, painted over it (PS3.3 C.9.2). */
import { inlineBytes, number, numbers, text, type DataSet } from '../dicom/dataset.ts';
import type { Picture } from '../dicom/picture.ts';

export interface Overlay {
  image: HTMLCanvasElement;
  /** In pixels of the image. */
  x: number;
  y: number;
  width: number;
  height: number;
}

const GREEN = 0xff66e08c;
/** Pixels of an overlay that are painted at most. */
const LARGEST = 1 << 26;

export async function overlaysOf(set: DataSet, picture: Pick<Picture, 'frame'>): Promise<Overlay[]> {
  const found: Overlay[] = [];
  for (let group = 0x6000; group <= 0x601e; group += 2) {
    const tag = (element: string) => group.toString(16).toUpperCase() + element;
    const [rows, columns] = [number(set, tag('0010')) ?? 0, number(set, tag('0011')) ?? 0];
    const data = set[tag('3000')];
    if (rows * columns === 0 || rows * columns > LARGEST || !data) continue;
    const first = number(set, tag('0051')) ?? 1;
    const frames = number(set, tag('0015')) ?? 1;
    const frame = frames > 1 ? picture.frame - first : 0;
    if (frame < 0 || frame >= frames) continue;
    const bytes = inlineBytes(set, tag('3000')) ?? (data.BulkDataURI ? await bulk(data.BulkDataURI) : undefined);
    if (!bytes) continue;
    const [top, left] = numbers(set, tag('0050'));
    found.push({ image: bitmap(bytes, frame * rows * columns, columns, rows), x: (left ?? 1) - 1, y: (top ?? 1) - 1, width: columns, height: rows });
  }
  return found;
}

/** Whether there are any, and what the first one says that it is. */
export const overlayName = (set: DataSet | undefined): string | undefined => (set && Object.keys(set).some(tag => /^60[01][0-9A-E]3000$/.test(tag)) ? text(set, '60000022') || 'Overlay' : undefined);

async function bulk(uri: string): Promise<Uint8Array | undefined> {
  const response = await fetch(uri, { headers: { Accept: 'application/octet-stream' } });
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
}

/** The lowest bit of each byte comes first (PS3.5 8.1.2). */
export function bit(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
}

function bitmap(bytes: Uint8Array, from: number, width: number, height: number): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d')!;
  const data = context.createImageData(width, height);
  const words = new Uint32Array(data.data.buffer);
  for (let n = 0; n < width * height; n++) if (bit(bytes, from + n)) words[n] = GREEN;
  context.putImageData(data, 0, 0);
  return canvas;
}
