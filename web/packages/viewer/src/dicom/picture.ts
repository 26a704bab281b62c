/** What a picture needs to know of its instance: the Image Pixel, VOI LUT and plane modules, functional groups included (PS3.3 C.7.6). */
import { inlineBytes, items, number, numbers, text, type DataSet } from './dataset.ts';
import { regionsOf, spacingOf, type Region, type Spacing } from './spacing.ts';

export interface Window {
  centre: number;
  width: number;
  explanation: string;
}

/** Frames of one instance that are listed; a number beyond is a mistake, or meant to harm. */
const MOST_FRAMES = 100_000;

/** One picture: a frame of an instance. */
export interface Picture {
  study: string;
  series: string;
  instance: string;
  modality: string;
  /** From 1. */
  frame: number;
  frames: number;
  number: number;
  columns: number;
  rows: number;
  samples: number;
  bitsAllocated: number;
  bitsStored: number;
  signed: boolean;
  planar: boolean;
  photometric: string;
  slope: number;
  intercept: number;
  unit: string;
  windows: Window[];
  /** LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.3). */
  windowFunction: string;
  padding: [number, number] | undefined;
  /** Why a reduced image of it would not mean anything: its values are no intensities. */
  wholeOnly: string | undefined;
  /** Why even neighbouring values may not be averaged: they are looked up, or are labels. */
  lookedUp: string | undefined;
  palette: Palette | undefined;
  /** Greys by a table, where the image has one and no window (0028,3010). */
  lut: Lut | undefined;
  spacing: Spacing | undefined;
  /** Of an ultrasound image. */
  regions: Region[];
  position: [number, number, number] | undefined;
  frameOfReference: string;
  orientation: number[] | undefined;
  laterality: string;
  /** Where right and bottom of the picture are, for those without an orientation in space (0020,0020). */
  patientOrientation: [string, string] | undefined;
  /** Ratio of a lossy compression, or that there was one (0028,2110), (0028,2112). */
  lossy: string | undefined;
  frameTime: number | undefined;
}

/** Red, green and blue of each index, 8 bits. */
export interface Palette {
  first: number;
  rgb: Uint8Array;
}

/** Greys from 0 to 1 of the values from `first` on. */
export interface Lut {
  first: number;
  greys: Float32Array;
}

/** The pictures of an instance, one for each frame; none where it holds no pixels. */
export function picturesOf(set: DataSet): Picture[] {
  const [rows, columns] = [number(set, '00280010') ?? 0, number(set, '00280011') ?? 0];
  if (rows === 0 || columns === 0 || !set['7FE00010']) return [];
  const frames = Math.min(MOST_FRAMES, Math.max(1, number(set, '00280008') ?? 1));
  const shared = items(set, '52009229')[0];
  const each = items(set, '52009230');
  const pictures: Picture[] = [];
  for (let frame = 1; frame <= frames; frame++) pictures.push(picture(set, frame, frames, shared, each[frame - 1]));
  return pictures;
}

function picture(set: DataSet, frame: number, frames: number, shared: DataSet | undefined, own: DataSet | undefined): Picture {
  /** A functional group of the frame, of all frames, or the data set itself. */
  const group = (tag: string): DataSet => items(own, tag)[0] ?? items(shared, tag)[0] ?? set;
  const values = group('00289145');
  const voi = group('00289132');
  const plane = group('00209113');
  const orientation = numbers(group('00209116'), '00200037');
  const position = numbers(plane, '00200032');
  const photometric = text(set, '00280004');
  const signed = number(set, '00280103') === 1;
  const padding = number(set, '00280120');
  const bitsStored = number(set, '00280101') ?? number(set, '00280100') ?? 8;
  return {
    study: text(set, '0020000D'),
    series: text(set, '0020000E'),
    instance: text(set, '00080018'),
    modality: text(set, '00080060'),
    frame,
    frames,
    number: number(set, '00200013') ?? 0,
    columns: number(set, '00280011')!,
    rows: number(set, '00280010')!,
    samples: number(set, '00280002') ?? 1,
    bitsAllocated: number(set, '00280100') ?? 8,
    bitsStored,
    signed,
    planar: number(set, '00280006') === 1,
    photometric,
    slope: number(values, '00281053') ?? 1,
    intercept: number(values, '00281052') ?? 0,
    unit: unitOf(text(values, '00281054') || (text(set, '00080060') === 'CT' ? 'HU' : '')),
    windows: windowsOf(voi),
    windowFunction: text(voi, '00281056') || 'LINEAR',
    padding: padding === undefined ? undefined : order(padding, number(set, '00280121') ?? padding),
    wholeOnly: lookedUp(set, photometric) ?? (padding === undefined ? undefined : 'it has padding, which a reduced image would mix with the picture'),
    lookedUp: lookedUp(set, photometric),
    lut: voiLutOf(set, signed),
    palette: photometric === 'PALETTE COLOR' ? paletteOf(set) : undefined,
    spacing: spacingOf(set, group('00289110')),
    regions: regionsOf(set),
    frameOfReference: text(set, '00200052'),
    position: position.length === 3 ? (position as [number, number, number]) : undefined,
    orientation: orientation.length === 6 ? orientation : undefined,
    laterality: text(set, '00200062') || text(set, '00200060'),
    patientOrientation: patientOrientation(set),
    lossy: text(set, '00282110') === '01' ? text(set, '00282112') || '?' : undefined,
    frameTime: number(set, '00181063'),
  };
}

/** US is "unspecified" (PS3.3 C.11.1.1.2). */
const unitOf = (type: string) => (type === 'US' ? '' : type);

function patientOrientation(set: DataSet): [string, string] | undefined {
  const [right, bottom] = (set['00200020']?.Value ?? []).map(value => String(value).trim());
  return right && bottom ? [right, bottom] : undefined;
}

const order = (a: number, b: number): [number, number] => (a < b ? [a, b] : [b, a]);

/** Values that are looked up mean nothing when they are averaged. */
function lookedUp(set: DataSet, photometric: string): string | undefined {
  if (photometric === 'PALETTE COLOR') return 'its colours are looked up in a table';
  if (set['00283000']) return 'its values are looked up in a table (Modality LUT)';
  if (set['00283010']) return 'its greys are looked up in a table (VOI LUT)';
  return text(set, '00080060') === 'SEG' ? 'its values are labels' : undefined;
}

function windowsOf(set: DataSet): Window[] {
  const [centres, widths] = [numbers(set, '00281050'), numbers(set, '00281051')];
  const explanations = (set['00281055']?.Value ?? []).map(String);
  return centres.flatMap((centre, n) => (widths[n] !== undefined && widths[n]! > 0 ? [{ centre, width: widths[n]!, explanation: explanations[n] ?? '' }] : []));
}

/** The tables of a palette; `undefined` where they do not stand in the metadata itself. */
function paletteOf(set: DataSet): Palette | undefined {
  const descriptor = numbers(set, '00281101');
  if (descriptor.length !== 3) return undefined;
  const entries = descriptor[0] || 65536;
  const rgb = new Uint8Array(entries * 3);
  for (const [n, tag] of ['00281201', '00281202', '00281203'].entries()) {
    const bytes = inlineBytes(set, tag);
    if (!bytes) return undefined;
    // One byte an entry, or two of which the upper one counts (PS3.3 C.7.6.3.1.5 and .6).
    const wide = bytes.length >= entries * 2;
    for (let entry = 0; entry < entries; entry++) rgb[entry * 3 + n] = bytes[wide ? entry * 2 + (descriptor[2]! > 8 ? 1 : 0) : entry] ?? 0;
  }
  return { first: descriptor[1]!, rgb };
}

/** The first table of the VOI LUT Sequence, as far as it stands in the metadata (PS3.3 C.11.2.1.1); a window goes before it. */
function voiLutOf(set: DataSet, signed: boolean): Lut | undefined {
  const item = items(set, '00283010')[0];
  const [entries, first, bits] = item ? numbers(item, '00283002') : [];
  if (!item || entries === undefined || first === undefined || !(bits! >= 1 && bits! <= 16)) return undefined;
  const count = entries || 65536;
  const bytes = inlineBytes(item, '00283006');
  const told = bytes ? Array.from({ length: bytes.length >> 1 }, (_, n) => bytes[2 * n]! | (bytes[2 * n + 1]! << 8)) : numbers(item, '00283006');
  if (told.length < count) return undefined;
  const greys = Float32Array.from(told.slice(0, count), value => Math.min(1, value / (2 ** bits! - 1)));
  return { first: signed && first > 0x7fff ? first - 0x10000 : first, greys };
}
