import { expect, it } from 'vitest';
import { paint } from './paint.ts';
import { plan, type First } from './plan.ts';

const HTJ2K = '1.2.840.10008.1.2.4.202';
const ROOT = 'http://host/dicom-web';
const ends = [100, 200, 400, 900, 3000, 9000];

function first(change: Record<string, unknown> = {}, transferSyntax = HTJ2K): First {
  const values: Record<string, unknown> = {
    '0020000D': '1.2', '0020000E': '1.3', '00080018': '1.4', '00280010': 2128, '00280011': 2000, '00280002': 1, '00280100': 16, '00280101': 12,
    '00280103': 0, '00280004': 'MONOCHROME2', '00281050': 2048, '00281051': 4096, '7FE00010': undefined, '00200060': 'L', ...change,
  };
  const metadata = Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, value === undefined ? {} : { Value: [value] }]));
  return {
    study: { '00100010': { Value: [{ Alphabetic: 'DAWN^AURORA' }] }, '00100020': { Value: ['P-1'] } },
    series: [],
    first: { series: '1.3', instance: '1.4', frame: 1, metadata, levels: { transferSyntax, frames: [{ length: 9000, ends }] } },
  };
}

it('fetches the coarsest level of use on this screen, and no more', () => {
  for (const [room, level] of [[{ width: 1280, height: 800 }, 2], [{ width: 390, height: 844 }, 3], [{ width: 7680, height: 4320 }, 1], [{ width: 1, height: 1 }, 5]] as const) {
    expect(plan(first(), ROOT, room)).toMatchObject({ kind: 'level', level, levels: { width: 2000, height: 2128, ends }, url: `${ROOT}/studies/1.2/series/1.3/instances/1.4/frames/1` });
  }
  expect(plan(first(), ROOT, { width: 800, height: 800 })!.words).toBe('DAWN, AURORA · P-1 · Laterality L');
});

it('has the server render what our decoder does not decode, or must not reduce', () => {
  const room = { width: 1000, height: 532 };
  for (const document of [
    first({}, '1.2.840.10008.1.2.4.80'),
    first({}, '1.2.840.10008.1.2.4.50'),
    first({}, '1.2.840.10008.1.2.1'),
    first({ '00280004': 'PALETTE COLOR' }),
    first({ '00283010': {} }),
    first({ '00280120': 0 }),
    first({ '00280002': 3, '00280004': 'YBR_FULL' }),
    first({ '00280100': 32 }),
  ]) {
    expect(plan(document, ROOT, room)).toMatchObject({ kind: 'rendered', url: `${ROOT}/studies/1.2/series/1.3/instances/1.4/frames/1/rendered?viewport=500,532` });
  }
  expect(plan(first({ '00280002': 3, '00280004': 'YBR_RCT' }), ROOT, room)!.kind).toBe('level');
});

it('shows nothing where there is no picture', () => {
  const room = { width: 800, height: 800 };
  expect(plan({ ...first(), first: null }, ROOT, room)).toBeUndefined();
  expect(plan(first({ '00080016': '1.2.840.10008.5.1.4.1.1.77.1.6' }), ROOT, room)).toBeUndefined();
  expect(plan(first({}, '1.2.840.10008.1.2.4.102'), ROOT, room)).toBeUndefined();
  expect(plan(first({ '00280010': 0 }), ROOT, room)).toBeUndefined();
});

it('paints greys by the window, inverted for MONOCHROME1, and colours as they are', () => {
  const image = { width: 2, height: 1, components: 1, precision: 12, signed: false, level: 2, complete: true, need: undefined, samples: Uint16Array.of(0, 4095) };
  const picture = (change: Record<string, unknown>) => {
    const found = plan(first(change), ROOT, { width: 800, height: 800 })!;
    return found.picture;
  };
  expect([...paint(picture({}), image)]).toEqual([0, 0, 0, 255, 255, 255, 255, 255]);
  expect([...paint(picture({ '00280004': 'MONOCHROME1' }), image)]).toEqual([255, 255, 255, 255, 0, 0, 0, 255]);
  // Without a window: the range of what is there.
  expect([...paint(picture({ '00281050': undefined, '00281051': undefined }), { ...image, samples: Uint16Array.of(500, 600) })]).toEqual([0, 0, 0, 255, 255, 255, 255, 255]);
  const colours = { ...image, width: 1, components: 3, precision: 8, samples: Uint8Array.of(10, 20, 30) };
  expect([...paint(picture({ '00280002': 3, '00280004': 'RGB', '00280100': 8, '00280101': 8 }), colours)]).toEqual([10, 20, 30, 255]);
});
