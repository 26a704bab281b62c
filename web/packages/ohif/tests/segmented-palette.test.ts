import { expect, it } from 'vitest';
import { provideSegmentedPalettes } from '../src/segmented-palette.ts';
import { metaData } from './providers.ts';

/** 0, 0x4000, 0x8000. */
const SEGMENTS = Uint16Array.from([0, 1, 0, 1, 2, 0x8000]).buffer;
const INLINE = btoa(String.fromCharCode(...new Uint8Array(SEGMENTS)));

function instance(value: () => unknown): Record<string, unknown> {
  const descriptor = [3, 5, 16];
  return {
    RedPaletteColorLookupTableDescriptor: descriptor,
    SegmentedRedPaletteColorLookupTableData: value(),
    SegmentedGreenPaletteColorLookupTableData: value(),
    SegmentedBluePaletteColorLookupTableData: value(),
  };
}

it('expands what is inline and what comes by reference, and leaves the rest', async () => {
  const module = { photometricInterpretation: 'PALETTE COLOR', rows: 7 };
  const modules: Record<string, Record<string, unknown>> = {
    inline: module,
    bulk: module,
    plain: { ...module, redPaletteColorLookupTableData: [1] },
    none: module,
    grey: { photometricInterpretation: 'MONOCHROME2' },
  };
  const instances: Record<string, Record<string, unknown>> = {
    inline: instance(() => ({ InlineBinary: INLINE })),
    bulk: instance(() => ({ retrieveBulkData: async () => SEGMENTS })),
    plain: instance(() => ({ InlineBinary: INLINE })),
    none: {},
    grey: {},
  };
  const data = metaData((type, imageId) => (type === 'imagePixelModule' ? modules[imageId] : instances[imageId]));
  const remove = provideSegmentedPalettes({ metaData: data });
  const get = (imageId: string) => data.get('imagePixelModule', imageId)!;
  const expected = Uint8Array.from([0, 0x40, 0x80]);

  expect(get('inline')).toMatchObject({ rows: 7, redPaletteColorLookupTableDescriptor: [3, 5, 8] });
  expect(get('inline').bluePaletteColorLookupTableData).toEqual(expected);
  const coming = get('bulk').greenPaletteColorLookupTableData;
  expect(coming).toBeInstanceOf(Promise);
  expect(await coming).toEqual(expected);
  expect(get('bulk').greenPaletteColorLookupTableData).toEqual(expected);
  for (const imageId of ['plain', 'none', 'grey']) expect(get(imageId)).toBe(modules[imageId]);
  expect(modules.inline).toBe(module);

  remove();
  expect(get('inline')).toBe(module);
});
