import { expect, it } from 'vitest';
import { slicesAhead } from './volume-lead.ts';

const ROOT = 'http://here/dicom-web';
const STUDY = { root: ROOT, study: '1.2', headers: { Authorization: 'Bearer x' } };
const VALUES = { '0020000D': '1.2', '0020000E': '1.3', '00080018': '1.4.0', '00280010': 512, '00280011': 512, '00280002': 1, '00280100': 16, '00280101': 16, '00280103': 1, '00280004': 'MONOCHROME2', '00281052': -1024, '00281053': 1 };
const ENDS = [100, 900, 3000, 9000, 30000, 90000];

function document(change: Record<string, unknown> = {}) {
  const metadata = Object.fromEntries(Object.entries({ ...VALUES, ...change }).map(([tag, value]) => [tag, { Value: [value] }]));
  return { series: [], first: { series: '1.3', instance: '1.4.0', frame: 1, metadata, levels: { transferSyntax: '1.2.840.10008.1.2.4.202', frames: [{ ends: ENDS }] } } };
}

/** An archive with so many slices; of every fifth no levels are known. */
function archive(count: number, asked: [string, HeadersInit | undefined][] = []) {
  const of = (n: number) => (n % 5 === 4 ? { length: 90000, ends: [] } : { length: 90000, ends: ENDS });
  const instances = Object.fromEntries(Array.from({ length: count }, (_, n) => [`1.4.${n}`, { transferSyntax: '1.2.840.10008.1.2.4.202', bodyOffset: 100, frames: [of(n)] }]));
  return (async (url: string, init?: RequestInit) => {
    asked.push([url, init?.headers]);
    return Response.json({ instances });
  }) as typeof fetch;
}

it('asks for a useful level of every slice, the middle first, as the volume will', async () => {
  const asked: [string, HeadersInit | undefined][] = [];
  const jobs = await slicesAhead(STUDY, document(), 450, archive(50, asked));
  expect(asked).toEqual([[`${ROOT}/studies/1.2/series/1.3/levels`, { Accept: 'application/json', Authorization: 'Bearer x' }]]);
  expect(jobs).toHaveLength(40);
  expect(new Set(jobs.map(({ frame }) => frame)).size).toBe(40);
  // Every fifth is missing: the 20th of what is left is instance 25.
  expect(jobs[0]).toEqual({ frame: `wadors:${ROOT}/studies/1.2/series/1.3/instances/1.4.25/frames/1`, url: `${ROOT}/studies/1.2/series/1.3/instances/1.4.25/frames/1`, level: 1, worth: [], shape: { slope: 1, intercept: -1024, bits: 16 }, levels: { width: 512, height: 512, ends: ENDS } });
});

it('keeps within memory, and takes a coarser level for smaller panes', async () => {
  const jobs = await slicesAhead(STUDY, document(), 200, archive(100_000));
  expect(jobs[0]!.level).toBe(2);
  expect(jobs.length * 4 * 128 * 128).toBeLessThanOrEqual(64 << 20);
});

it('leads with nothing where levels mean nothing, are not known, or are too few', async () => {
  expect(await slicesAhead(STUDY, document({ '00280120': -2000 }), 450, archive(50))).toEqual([]);
  expect(await slicesAhead(STUDY, { ...document(), first: null }, 450, archive(50))).toEqual([]);
  expect(await slicesAhead(STUDY, document(), 450, archive(2))).toEqual([]);
  expect(await slicesAhead(STUDY, document(), 450, async () => new Response('', { status: 404 }))).toEqual([]);
});
