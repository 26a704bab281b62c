/** Cornerstone3D's metadata for tests. */
import type { MetadataProvider } from '../src/host.ts';

/** Metadata as Cornerstone3D keeps it: the provider of the highest priority that answers is believed. */
export function metaData(base: MetadataProvider) {
  const providers: [number, MetadataProvider][] = [[9999, base]];
  return {
    get: (type: string, imageId: string) => {
      for (const [, provider] of [...providers].sort(([a], [b]) => b - a)) {
        const found = provider(type, imageId);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    addProvider: (provider: MetadataProvider, priority: number) => void providers.push([priority, provider]),
    removeProvider: (provider: MetadataProvider) => {
      providers.splice(providers.findIndex(([, each]) => each === provider), 1);
    },
  };
}
