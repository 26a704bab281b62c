/** Frames that come without compression: Explicit VR Little Endian (PS3.5 8.1, PS3.3 C.7.6.3.1). */
import type { HtImage } from '@firstlight/htj2k';
import type { Picture } from '../dicom/picture.ts';

/** What has to be known of such a frame. */
export type Form = Pick<Picture, 'columns' | 'rows' | 'samples' | 'bitsAllocated' | 'bitsStored' | 'signed' | 'photometric' | 'planar'>;

export const formOf = ({ columns, rows, samples, bitsAllocated, bitsStored, signed, photometric, planar }: Picture): Form => ({ columns, rows, samples, bitsAllocated, bitsStored, signed, photometric, planar });

/** Samples as they lie there, interleaved by pixel; luminance and chrominance become red, green and blue. */
export function native(picture: Form, bytes: Uint8Array): HtImage {
  const { columns: width, rows: height, samples: components, bitsAllocated, bitsStored: precision, signed, photometric } = picture;
  if (bitsAllocated === 1) throw new Error('pictures of one bit a pixel (segmentations) are shown by OHIF, over their series');
  const told = { width, height, components, precision, signed, level: 0, complete: true, need: undefined };
  const count = width * height * components;
  const size = Math.max(1, bitsAllocated >> 3);
  if (photometric === 'YBR_FULL_422' && size === 1 && bytes.length < count && bytes.length >= 2 * Math.ceil((width * height) / 2) * 2) return { ...told, samples: toRgb(upsampled(bytes, width * height)) };
  if (bytes.length < count * size) throw new Error(`the frame has ${bytes.length} bytes where ${count * size} should be`);
  const buffer = bytes.slice(0, count * size).buffer;
  const of = { 1: signed ? Int8Array : Uint8Array, 2: signed ? Int16Array : Uint16Array, 4: Int32Array }[size as 1 | 2 | 4];
  if (!of) throw new Error(`${bitsAllocated} bits a sample are not shown here`);
  const samples = picture.planar && components > 1 ? interleaved(new of(buffer), components) : new of(buffer);
  // A frame that the server decoded has as many samples of chrominance as of luminance, whatever was stored.
  return { ...told, samples: photometric.startsWith('YBR_FULL') && components === 3 && samples instanceof Uint8Array ? toRgb(samples) : samples };
}

/** Two pixels share their chrominance: Y Y B R (PS3.3 C.7.6.3.1.2). */
function upsampled(bytes: Uint8Array, pixels: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(3 * pixels);
  for (let n = 0; n < pixels; n++) {
    const pair = (n >> 1) * 4;
    out.set([bytes[pair + (n & 1)]!, bytes[pair + 2]!, bytes[pair + 3]!], 3 * n);
  }
  return out;
}

function interleaved<T extends HtImage['samples']>(planes: T, components: number): T {
  const out = planes.slice() as T;
  const count = planes.length / components;
  for (let n = 0; n < count; n++) for (let c = 0; c < components; c++) out[n * components + c] = planes[c * count + n]!;
  return out;
}

/** PS3.3 C.7.6.3.1.2: the inverse of the equations of YBR_FULL. */
function toRgb<T extends Uint8Array>(samples: T): T {
  const byte = (value: number) => Math.min(255, Math.max(0, Math.round(value)));
  for (let at = 0; at < samples.length; at += 3) {
    const [y, blue, red] = [samples[at]!, samples[at + 1]! - 128, samples[at + 2]! - 128];
    samples[at] = byte(y + 1.402 * red);
    samples[at + 1] = byte(y - 0.344136 * blue - 0.714136 * red);
    samples[at + 2] = byte(y + 1.772 * blue);
  }
  return samples;
}
