/** Images in the form of Cornerstone3D, made of decoded levels: stored values put through the rescale (PS3.3 C.11.1.1), windowed by the metadata. */
import type { Picture, Shape } from '../loading/picture.ts';
import { QUALITY, type Cornerstone, type LoadedImage, type Module } from './api.ts';
import { mayBeReduced } from './intensities.ts';

/** HTJ2K whose packets go resolution by resolution, so that a prefix is an image. */
const BY_LEVELS = /^1\.2\.840\.10008\.1\.2\.4\.20[23]$/;
/** What the stock loader decodes and what comes whole: uncompressed, JPEG, JPEG-LS, JPEG 2000, HTJ2K without an order of levels, JPEG XL, RLE. */
const WHOLE = /^1\.2\.840\.10008\.1\.2(\.1|\.4\.(50|51|57|70|80|81|90|91|201|110|111|112)|\.5)$/;
const GREY = /^MONOCHROME[12]$/;
const COLOUR = /^(RGB|YBR_RCT|YBR_ICT)$/;

/** How an image comes: coarser levels first, or all at once. */
type Way = 'levels' | 'whole';

interface Known {
  way: Way;
  size: { width: number; height: number };
  shape: Shape;
}

/** What was found of images that this loader shows; asking for it anew costs a page with many slices a lot. */
const KNOWN = new WeakMap<object, Map<string, Known>>();

function known({ metaData }: Pick<Cornerstone, 'metaData'>): Map<string, Known> {
  let all = KNOWN.get(metaData);
  if (!all) KNOWN.set(metaData, (all = new Map()));
  return all;
}

/** Forgets what was found of all images. */
export function forgetImages({ metaData }: Pick<Cornerstone, 'metaData'>): void {
  KNOWN.delete(metaData);
}

/** Whether this loader shows the image: of intensities, with a plain rescale. All else is left to the stock loader. */
export function canLoad(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): boolean {
  return wayOf(cornerstone, imageId) !== undefined;
}

/** Whether this loader shows it, and it comes all at once. */
export function comesWhole(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): boolean {
  return wayOf(cornerstone, imageId) === 'whole';
}

function wayOf(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): Way | undefined {
  const before = known(cornerstone).get(imageId);
  if (before) return before.way;
  const way = imageId.startsWith('wadors:') ? askWay(cornerstone, imageId) : undefined;
  if (way) known(cornerstone).set(imageId, { way, size: askSize(cornerstone, imageId), shape: askShape(cornerstone, imageId) });
  return way;
}

function askWay({ metaData }: Pick<Cornerstone, 'metaData'>, imageId: string): Way | undefined {
  const pixels = metaData.get('imagePixelModule', imageId);
  const instance = metaData.get('instance', imageId) ?? {};
  // OHIF tells it by the instance alone: as the archive has it (0008,3002), or as it came.
  const told = metaData.get('transferSyntax', imageId)?.transferSyntaxUID ?? instance.AvailableTransferSyntaxUID ?? instance.TransferSyntaxUID;
  const way = BY_LEVELS.test(text(told)) ? 'levels' : WHOLE.test(text(told)) ? 'whole' : undefined;
  if (!pixels || !way) return undefined;
  const { samplesPerPixel, photometricInterpretation, bitsStored, bitsAllocated, rows, columns } = pixels;
  const grey = samplesPerPixel === 1 && GREY.test(text(photometricInterpretation));
  const colour = way === 'levels' && samplesPerPixel === 3 && COLOUR.test(text(photometricInterpretation)) && number(bitsStored, 0) <= 8;
  if (!(grey || colour) || !(number(bitsAllocated, 0) <= 16) || !(number(rows, 0) > 0 && number(columns, 0) > 0)) return undefined;
  const scaling = metaData.get('scalingModule', imageId);
  if (Object.values(scaling ?? {}).some(value => typeof value === 'number')) return undefined;
  return mayBeReduced(instance) ? way : undefined;
}

/** Rows and columns of the full image, as the metadata tell. */
export function sizeOf(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): { width: number; height: number } {
  return known(cornerstone).get(imageId)?.size ?? askSize(cornerstone, imageId);
}

function askSize({ metaData }: Pick<Cornerstone, 'metaData'>, imageId: string): { width: number; height: number } {
  const { columns, rows } = metaData.get('imagePixelModule', imageId) ?? {};
  return { width: number(columns, 0), height: number(rows, 0) };
}

export function rescaleOf({ metaData }: Pick<Cornerstone, 'metaData'>, imageId: string): { slope: number; intercept: number } {
  const lut = metaData.get('modalityLutModule', imageId) ?? {};
  return { slope: number(lut.rescaleSlope, 1), intercept: number(lut.rescaleIntercept, 0) };
}

/** How values are made of the samples of an image. */
export function shapeOf(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): Shape {
  return known(cornerstone).get(imageId)?.shape ?? askShape(cornerstone, imageId);
}

function askShape(cornerstone: Pick<Cornerstone, 'metaData'>, imageId: string): Shape {
  const pixels = cornerstone.metaData.get('imagePixelModule', imageId) ?? {};
  const bits = number(pixels.bitsStored, 16);
  return number(pixels.samplesPerPixel, 1) > 1 ? { slope: 1, intercept: 0, bits } : { ...rescaleOf(cornerstone, imageId), bits };
}

/** The window that the metadata tell, or else the range of the values. */
export function windowOf({ metaData }: Pick<Cornerstone, 'metaData'>, imageId: string): { centre: number; width: number } | undefined {
  const { windowCenter, windowWidth } = metaData.get('voiLutModule', imageId) ?? {};
  const [centre, width] = [first(windowCenter), first(windowWidth)];
  return centre !== undefined && width !== undefined ? { centre, width } : undefined;
}

/** A picture as Cornerstone3D's own loader would give it. */
export function makeImage(cornerstone: Pick<Cornerstone, 'metaData' | 'utilities'>, imageId: string, picture: Pick<Picture, 'values' | 'width' | 'height' | 'min' | 'max'>, quality: number): LoadedImage {
  const { values, width, height, min, max } = picture;
  const { metaData, utilities } = cornerstone;
  const pixels = metaData.get('imagePixelModule', imageId) ?? {};
  const plane = metaData.get('imagePlaneModule', imageId) ?? {};
  const voi = metaData.get('voiLutModule', imageId) ?? {};
  const { slope, intercept } = rescaleOf(cornerstone, imageId);
  const color = number(pixels.samplesPerPixel, 1) > 1;
  const numberOfComponents = color ? 3 : 1;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({ width, height, scalarData: values, numberOfComponents });
  const window = color ? { centre: 128, width: 256 } : (windowOf(cornerstone, imageId) ?? { centre: (min + max + 1) / 2, width: max - min + 1 });
  const scaled = slope !== 1 || intercept !== 0;
  const preScale = scaled ? { enabled: true, scaled: true, scalingParameters: { rescaleSlope: slope, rescaleIntercept: intercept, modality: metaData.get('generalSeriesModule', imageId)?.modality } } : { enabled: false };
  const imageFrame = { ...plainFields(pixels), imageId, rows: height, columns: width, preScale, pixelDataLength: values.length, smallestPixelValue: min, largestPixelValue: max };
  return {
    imageId,
    dataType: values.constructor.name,
    color,
    rgba: false,
    numberOfComponents,
    calibration: metaData.get('calibrationModule', imageId) ?? {},
    columnPixelSpacing: plane.columnPixelSpacing,
    rowPixelSpacing: plane.rowPixelSpacing,
    columns: width,
    width,
    rows: height,
    height,
    preScale,
    slope,
    intercept,
    invert: pixels.photometricInterpretation === 'MONOCHROME1',
    minPixelValue: min,
    maxPixelValue: max,
    windowCenter: window.centre,
    windowWidth: window.width,
    voiLUTFunction: voi.voiLutFunction ?? first<string>(voi.voiLUTFunction),
    sizeInBytes: values.byteLength,
    floatPixelData: undefined,
    imageFrame,
    voxelManager,
    getPixelData: () => values,
    getCanvas: undefined,
    imageQualityStatus: quality,
  };
}

/** A level as an image: reduced, or full. */
export function imageOf(cornerstone: Pick<Cornerstone, 'metaData' | 'utilities'>, imageId: string, picture: Picture): LoadedImage {
  return makeImage(cornerstone, imageId, picture, picture.level === 0 ? QUALITY.full : QUALITY.reduced);
}

function plainFields(module: Module): Module {
  return Object.fromEntries(Object.entries(module).filter(([, value]) => typeof value !== 'function' && !(value instanceof Promise)));
}

function number(value: unknown, otherwise: number): number {
  const one = first<unknown>(value);
  return one !== undefined && one !== '' && Number.isFinite(Number(one)) ? Number(one) : otherwise;
}

function first<T = number>(value: unknown): T | undefined {
  return (Array.isArray(value) ? value[0] : (value ?? undefined)) as T | undefined;
}

function text(value: unknown): string {
  return String(first(value) ?? '');
}
