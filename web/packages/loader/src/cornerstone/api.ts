/** What is used of Cornerstone3D (5.6 to 5.14), as an object that is handed in; structural, so that nothing of it is bundled. */

import type { PixelArray } from '../loading/picture.ts';

/** `ImageQualityStatus` of Cornerstone3D. */
export const QUALITY = { far: 1, adjacent: 3, reduced: 6, full: 8 } as const;


/** An image as Cornerstone3D shows it; the rest of its fields is what `image.ts` puts in. */
export interface LoadedImage {
  imageId: string;
  columns: number;
  rows: number;
  imageQualityStatus?: number;
  minPixelValue: number;
  maxPixelValue: number;
  sizeInBytes: number;
  getPixelData(): PixelArray;
  [field: string]: unknown;
}

export type Module = Record<string, unknown>;

/** Who gets the images: a stack viewport or a volume. */
export interface ImagesListener {
  successCallback(imageId: string, image: LoadedImage): void;
  errorCallback(imageId: string, permanent: boolean, reason: unknown): void;
  getLoaderImageOptions(imageId: string): LoaderOptions | undefined;
}

export interface LoaderOptions {
  targetBuffer?: { type?: string };
  preScale?: { enabled?: boolean };
  [option: string]: unknown;
}

export interface ImagesLoader {
  loadImages(imageIds: string[], listener: ImagesListener): Promise<unknown>;
}

export interface RetrieveConfiguration {
  stages?: readonly unknown[];
  retrieveOptions?: Record<string, Record<string, unknown>>;
  create?: (configuration: RetrieveConfiguration) => ImagesLoader;
}

/** A viewport, as far as it is looked at. */
export interface AnyViewport {
  id: string;
  element: HTMLElement;
  canvas?: { width: number; height: number; style?: { visibility: string } };
  getImageIds?: () => string[];
  getCurrentImageId?: () => string | undefined;
  getCurrentImageIdIndex?: () => number;
  setImageIdIndex?: (index: number) => Promise<unknown>;
  getZoom?: () => number;
  getAllVolumeIds?: () => string[];
  getCamera?: () => { focalPoint?: readonly number[]; viewPlaneNormal?: readonly number[] };
  getProperties?: () => { voiRange?: { lower: number; upper: number } };
  setProperties?: (properties: { voiRange: { lower: number; upper: number } }) => void;
}

/** A volume that is filled from frames. */
export interface AnyVolume extends ImagesListener {
  volumeId: string;
  imageIds: string[];
  dataType: string;
  dimensions: readonly number[];
  /** Directions of columns, rows and slices, three numbers each. */
  direction: ArrayLike<number>;
  cachedFrames: (number | undefined)[];
  autoRenderOnLoad?: boolean;
  loadStatus?: { cancelled?: boolean };
  imageData?: { worldToIndex?(point: readonly number[]): ArrayLike<number> } | null;
  voxelManager?: { invalidateCache?: () => void };
  vtkOpenGLTexture?: { setUpdatedFrame?(frame: number): void };
}

export interface ImageLoadObject {
  promise: Promise<LoadedImage>;
  cancelFn?: () => void;
}

export type ImageLoaderFunction = (imageId: string, options?: Record<string, unknown>) => ImageLoadObject;

export interface Cornerstone {
  cache: {
    getImage(imageId: string, least?: number): LoadedImage | undefined;
    putImageLoadObject(imageId: string, object: ImageLoadObject): Promise<unknown>;
    setPartialImage(imageId: string, image: LoadedImage): void;
  };
  metaData: {
    get(type: string, imageId: string): Module | undefined;
    addProvider(provider: (type: string, imageId: string) => unknown, priority: number): void;
  };
  eventTarget: EventTarget;
  imageLoader: {
    loadImage(imageId: string, options: Record<string, unknown>): Promise<LoadedImage>;
    loadAndCacheImage(imageId: string, options: Record<string, unknown>): Promise<LoadedImage>;
    registerImageLoader(scheme: string, loader: ImageLoaderFunction): void;
  };
  ProgressiveRetrieveImages: {
    createProgressive(configuration: RetrieveConfiguration): ImagesLoader;
    interleavedRetrieveStages: { stages: readonly unknown[] };
  };
  utilities: {
    VoxelManager: { createImageVoxelManager(what: { width: number; height: number; scalarData: PixelArray; numberOfComponents: number }): unknown };
    imageRetrieveMetadataProvider: { add(key: string, configuration: RetrieveConfiguration): void };
  };
  getRenderingEngines(): { id: string; getViewports(): AnyViewport[]; renderViewports(ids: string[]): void }[] | undefined;
  triggerEvent(target: EventTarget, type: string, detail: unknown): unknown;
}
