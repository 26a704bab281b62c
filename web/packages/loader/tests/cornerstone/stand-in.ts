/** As much of Cornerstone3D as the loader touches: a cache, metadata, a stack viewport and a volume that note what they are told. */
import type { AnyVolume, Cornerstone, ImageLoadObject, ImagesListener, ImagesLoader, LoadedImage, Module, RetrieveConfiguration } from '../../src/cornerstone/api.ts';
import { LEVELS } from '../server.ts';

export const ROOT = 'http://here/studies/1/series/2/instances';
export const idOf = (n: number): string => `wadors:${ROOT}/3.${n}/frames/1`;

export class StandIn {
  readonly images = new Map<string, { image?: LoadedImage; object?: ImageLoadObject }>();
  readonly configurations = new Map<string, RetrieveConfiguration>();
  readonly eventTarget = new EventTarget();
  /** What the stock loader was asked for. */
  readonly stock: string[] = [];
  readonly events: string[] = [];
  modules: Record<string, Module> = {
    imagePixelModule: { samplesPerPixel: 1, photometricInterpretation: 'MONOCHROME2', rows: LEVELS.height, columns: LEVELS.width, bitsAllocated: 16, bitsStored: 12, pixelRepresentation: 1 },
    modalityLutModule: { rescaleSlope: 1, rescaleIntercept: -1024 },
    voiLutModule: { windowCenter: [40], windowWidth: [400] },
    instance: { AvailableTransferSyntaxUID: '1.2.840.10008.1.2.4.202', WindowCenter: 40, WindowWidth: 400 },
  };
  viewports: object[] = [];
  /** Addresses that the stock loader decoded. */
  readonly decoded: string[] = [];
  /** Whether it cannot decode. */
  broken = false;
  readonly #providers: ((type: string, imageId: string) => unknown)[] = [];

  #get(type: string, imageId: string): Module | undefined {
    for (const provider of this.#providers) {
      const found = provider(type, imageId);
      if (found !== undefined) return found as Module;
    }
    return imageId.startsWith('wadors:http') ? this.modules[type] : undefined;
  }

  /** The stock loader: asks for the metadata of the address, as it does, and for the bytes below it. */
  async #load(imageId: string): Promise<LoadedImage> {
    if (this.broken) throw new Error('no decoder');
    const pixels = this.#get('imagePixelModule', imageId)!;
    const answer = await fetch(imageId.slice('wadors:'.length));
    const bytes = await answer.arrayBuffer();
    this.decoded.push(imageId);
    const samples = new Int16Array(Number(pixels.rows) * Number(pixels.columns)).fill(bytes.byteLength % 1000);
    return { imageId, columns: pixels.columns, rows: pixels.rows, getPixelData: () => samples } as unknown as LoadedImage;
  }

  get api(): Cornerstone {
    const stock: ImagesLoader = { loadImages: async imageIds => void this.stock.push(...imageIds) };
    return {
      cache: {
        getImage: imageId => this.images.get(imageId)?.image,
        putImageLoadObject: async (imageId, object) => {
          this.images.set(imageId, { ...this.images.get(imageId), object });
          this.images.set(imageId, { object, image: await object.promise });
        },
        setPartialImage: (imageId, image) => void this.images.set(imageId, { image }),
      },
      metaData: { get: (type, imageId) => this.#get(type, imageId), addProvider: provider => void this.#providers.push(provider) },
      eventTarget: this.eventTarget,
      imageLoader: { loadImage: imageId => this.#load(imageId), loadAndCacheImage: imageId => Promise.reject(new Error(`stock: ${imageId}`)), registerImageLoader: () => undefined },
      ProgressiveRetrieveImages: { createProgressive: () => stock, interleavedRetrieveStages: { stages: [] } },
      utilities: {
        VoxelManager: { createImageVoxelManager: ({ scalarData }) => ({ getScalarData: () => scalarData }) },
        imageRetrieveMetadataProvider: { add: (key, configuration) => void this.configurations.set(key, configuration) },
      },
      getRenderingEngines: () => [{ id: 'engine', getViewports: () => this.viewports as never, renderViewports: () => undefined }],
      triggerEvent: (_target, type) => void this.events.push(type),
    };
  }

  loader(kind: 'stack' | 'volume'): ImagesLoader {
    const configuration = this.configurations.get(kind)!;
    return configuration.create!(configuration);
  }
}

/** A stack viewport of `count` images on a canvas of `side` device pixels. */
export class StackStandIn implements ImagesListener {
  readonly shown: { imageId: string; columns: number; quality: number | undefined }[] = [];
  readonly canvas: { width: number; height: number };
  readonly element = new EventTarget() as HTMLElement;
  readonly id = 'one';
  at = 0;
  readonly #count: number;

  constructor(count: number, side: number) {
    [this.#count, this.canvas] = [count, { width: side, height: side }];
  }

  successCallback(imageId: string, { columns, imageQualityStatus }: LoadedImage): void {
    this.shown.push({ imageId, columns, quality: imageQualityStatus });
  }

  errorCallback(): void {}

  getLoaderImageOptions = () => ({});
  getImageIds = () => Array.from({ length: this.#count }, (_, n) => idOf(n));
  getCurrentImageIdIndex = () => this.at;
}

export function volumeStandIn(count: number, dataType = 'Int16Array'): AnyVolume & { told: { imageId: string; quality: number | undefined }[] } {
  const told: { imageId: string; quality: number | undefined }[] = [];
  return {
    told,
    volumeId: 'volume',
    imageIds: Array.from({ length: count }, (_, n) => idOf(n)),
    dataType,
    dimensions: [LEVELS.width, LEVELS.height, count],
    direction: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    cachedFrames: [],
    loadStatus: {},
    successCallback: (imageId, { imageQualityStatus }) => void told.push({ imageId, quality: imageQualityStatus }),
    errorCallback: () => undefined,
    getLoaderImageOptions: () => ({}),
  };
}
