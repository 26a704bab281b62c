import { expect, it } from 'vitest';
import type { MetadataProvider } from '../src/host.ts';
import { provideVoiLutFunction } from '../src/voi-lut-function.ts';

/** Metadata as Cornerstone3D keeps it: the provider of the highest priority that answers is believed. */
function metaData(base: MetadataProvider) {
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

/** What Cornerstone3D's `createImage` makes of the module. */
const understood = (module: Record<string, any>) =>
  (module.voiLUTFunction?.length && module.voiLUTFunction[0]) || module.voiLutFunction || undefined;

it('is understood whether it is text, a list or absent', () => {
  const modules: Record<string, Record<string, unknown>> = {
    text: { windowCenter: [1], voiLUTFunction: 'SIGMOID' },
    list: { windowCenter: [2], voiLUTFunction: ['LINEAR_EXACT'] },
    none: { windowCenter: [3] },
  };
  const data = metaData((type, imageId) => (type === 'voiLutModule' ? modules[imageId] : { type }));
  const remove = provideVoiLutFunction({ metaData: data });
  expect(understood(data.get('voiLutModule', 'text')!)).toBe('SIGMOID');
  expect(data.get('voiLutModule', 'text')!.windowCenter).toEqual([1]);
  expect(understood(data.get('voiLutModule', 'list')!)).toBe('LINEAR_EXACT');
  expect(understood(data.get('voiLutModule', 'none')!)).toBeUndefined();
  expect(data.get('imagePlaneModule', 'text')).toEqual({ type: 'imagePlaneModule' });
  expect(data.get('voiLutModule', 'unknown')).toBeUndefined();
  remove();
  expect(understood(data.get('voiLutModule', 'text')!)).toBe('S');
});
