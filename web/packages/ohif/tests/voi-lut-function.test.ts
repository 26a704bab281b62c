import { expect, it } from 'vitest';
import { provideVoiLutFunction } from '../src/voi-lut-function.ts';
import { metaData } from './providers.ts';

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
