/**
 * The stock loader as a decoder: bytes of a frame that were fetched here are given to it below an address of the page's own, and with the metadata of the
 * image that they are of. So JPEG-LS, JPEG and all else that it knows is asked for in the order of interest, stopped and resumed, as levels are.
 */
import type { HtImage } from '@firstlight/htj2k';
import type { DecodeWhole } from '../loading/frame-loader.ts';
import type { Cornerstone, ImageLoaderFunction } from './api.ts';

/** Before any other provider: none knows these addresses. */
const FIRST = 100_000;

export function stockDecoder({ metaData, imageLoader }: Pick<Cornerstone, 'metaData' | 'imageLoader'>, stock?: ImageLoaderFunction): DecodeWhole {
  const images = new Map<string, string>();
  metaData.addProvider((type, imageId) => {
    const of = images.get(imageId);
    // Nobody else is asked: other providers may take an address to pieces that is none of theirs.
    return of === undefined ? undefined : (metaData.get(type, of) ?? null);
  }, FIRST);
  const load = (imageId: string, options: Record<string, unknown>) => (stock ? stock(imageId, options).promise : imageLoader.loadImage(imageId, options));
  return async (imageId, bytes, transferSyntax): Promise<HtImage> => {
    const address = URL.createObjectURL(new Blob([bytes as BlobPart], { type: `application/octet-stream;transfer-syntax=${transferSyntax}` }));
    const own = `wadors:${address}`;
    images.set(own, imageId);
    try {
      const { columns: width, rows: height, getPixelData } = await load(own, { preScale: { enabled: false } });
      const samples = getPixelData();
      const { bitsStored = 16 } = metaData.get('imagePixelModule', imageId) ?? {};
      return { width, height, components: 1, precision: Number(bitsStored), signed: samples instanceof Int16Array, level: 0, complete: true, need: undefined, samples: samples as HtImage['samples'] };
    } finally {
      images.delete(own);
      URL.revokeObjectURL(address);
    }
  };
}
