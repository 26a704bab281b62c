/**
 * VOI LUT Function (0028,1056) in a form that the client reads rightly.
 *
 * OHIF 3.13 gives the value as text, Cornerstone3D 5.6 takes the first element of a list: of SIGMOID or LINEAR it keeps one
 * letter, refuses that as invalid, and shows no image at all. It also reads a second name, which has no such trap.
 */
import type { Cornerstone } from './host.ts';

type Module = Record<string, unknown>;

/** The module with the function, if it is text, under the name that is read as text. */
export function readable(module: Module): Module | undefined {
  const { voiLUTFunction, ...rest } = module;
  return typeof voiLUTFunction === 'string' ? { ...rest, voiLutFunction: voiLUTFunction } : undefined;
}

/** Adds a metadata provider before those of OHIF. Its own question to the others passes by itself. */
export function provideVoiLutFunction(cornerstone: Pick<Cornerstone, 'metaData'>): () => void {
  let asking = false;
  const provider = (type: string, imageId: string) => {
    if (type !== 'voiLutModule' || asking) return undefined;
    asking = true;
    try {
      const module = cornerstone.metaData.get(type, imageId);
      return module && readable(module);
    } finally {
      asking = false;
    }
  };
  cornerstone.metaData.addProvider(provider, 10_000);
  return () => cornerstone.metaData.removeProvider(provider);
}
