/** What the page does around its pictures: memory, searches, documents. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ImageCache, UNWANTED } from '../src/load/images.ts';
import { keepWithin } from '../src/load/keep.ts';
import { budgetOf } from '../src/load/memory.ts';
import { valueOf } from '../src/lazy/document.ts';
import { lines } from '../src/lazy/header.ts';
import { difference } from '../src/lazy/priors.ts';
import { ask, first, firstLevels, inOrder, leadToSignIn, Refused, searchPath } from '../src/study/archive.ts';
import { Series } from '../src/study/series.ts';
import { bit } from '../src/view/overlays.ts';
import { decimals, image, words } from './pictures.ts';

const MIB = 1 << 20;

describe('memory', () => {
  it('is a budget in bytes, smaller on phones', () => {
    for (const budget of [budgetOf(8, false), budgetOf(2, false), budgetOf(undefined, true)]) {
      expect(budget.images + budget.streams + budget.volume + budget.recycleAt).toBeLessThanOrEqual(110 * MIB);
    }
    expect(budgetOf(8, true).images).toBeLessThan(budgetOf(8, false).images);
  });

  it('holds images: what nobody wants goes first, what is wanted most goes last', () => {
    const cache = new ImageCache<{ bytes: number; level: number }>(10);
    const ranks: Record<string, number> = { a: 1, b: 2 };
    cache.want = frame => (ranks[frame] ? { rank: ranks[frame], far: 0 } : { ...UNWANTED, far: Number(frame.slice(1) || 0) });
    const put = (frame: string, level: number, bytes: number) => cache.put(frame, { level, bytes });
    put('a', 0, 3);
    put('b', 1, 2);
    put('x1', 1, 2);
    put('x9', 1, 2);
    put('y1', 0, 3);
    expect(cache.bytes).toBe(10);
    expect(['a', 'b', 'x1', 'x9', 'y1'].map(frame => cache.best(frame)?.level)).toEqual([0, 1, 1, undefined, 0]);
    put('b', 0, 4);
    // The full image that nobody wants, and the preview beside a full one, go before what is wanted.
    expect(['a', 'b', 'x1', 'y1'].map(frame => cache.best(frame)?.level)).toEqual([0, 0, 1, undefined]);
    expect(cache.bytes).toBeLessThanOrEqual(10);
  });

  it('keeps what is on the screen, however large it is', () => {
    const cache = new ImageCache<{ bytes: number; level: number }>(10);
    cache.put('small', { level: 0, bytes: 5 });
    cache.put('large', { level: 0, bytes: 50 });
    expect([cache.best('small'), cache.best('large')?.bytes]).toEqual([undefined, 50]);
  });

  it('lets the farthest of what rests go', () => {
    const idle = [3, 1, 2].map(far => ({ frame: String(far), bytes: 10, far }));
    expect(keepWithin(30, idle)).toEqual([]);
    expect(keepWithin(15, idle)).toEqual(['3', '2']);
  });
});

describe('questions', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('search by what is filled in, wildcards of the user taken out', () => {
    const none = { name: '', id: '', from: '', to: '', modality: '' };
    const query = (search: object, offset = 0) => new URL(searchPath({ ...none, ...search }, 30, offset), 'http://x').searchParams;
    expect([...query({}).keys()]).toEqual(['limit', 'offset', 'includefield']);
    expect(query({ name: ' Do*e ' }).get('PatientName')).toBe('*Doe*');
    expect(query({ from: '2026-01-31' }, 30).get('StudyDate')).toBe('20260131-');
    expect(query({ modality: 'CT' }).get('ModalitiesInStudy')).toBe('CT');
  });

  it('lead to the form where nobody is let in, until the first is answered', async () => {
    const answers = [401, 200, 401, 200].map(status => new Response('[1]', { status }));
    vi.stubGlobal('window', new EventTarget());
    vi.stubGlobal('fetch', async () => answers.shift()!);
    vi.stubGlobal('setTimeout', (then: () => void, ms: number) => (ms < 3000 ? queueMicrotask(then) : 0));
    const lead = vi.fn();
    leadToSignIn(lead);
    await ask('/x');
    await ask('/x');
    expect([lead.mock.calls.length, answers.length]).toEqual([1, 0]);
  });

  it('are asked again until they are answered, and say so; a refusal is final', async () => {
    vi.stubGlobal('window', new EventTarget());
    vi.stubGlobal('navigator', { onLine: true });
    const answers = [new TypeError('no line'), new Response('', { status: 503 }), new Response('', { status: 401 }), new Response('[1]')];
    vi.stubGlobal('fetch', async () => {
      const next = answers.shift()!;
      if (next instanceof Error) throw next;
      return next;
    });
    vi.stubGlobal('setTimeout', (then: () => void, ms: number) => (ms < 3000 ? queueMicrotask(then) : 0));
    const told: string[] = [];
    expect(await ask('/x', sentence => told.push(sentence))).toEqual([1]);
    expect(told.map(sentence => sentence.split(':')[0])).toEqual(['Connection lost', 'The server answered 503', 'Signed out', '']);
    vi.stubGlobal('fetch', async () => new Response('no such study\nmore', { status: 404 }));
    await expect(ask('/x')).rejects.toEqual(new Refused(404, 'no such study'));
    vi.stubGlobal('fetch', async () => new Response('[1,', { headers: { 'Content-Type': 'application/json' } }));
    await expect(ask('/x')).rejects.toThrow('no data');
    const pages = [new Response('<html>', { headers: { 'Content-Type': 'text/html; charset=utf-8' } }), new Response('[2]')];
    vi.stubGlobal('fetch', async () => pages.shift()!);
    told.length = 0;
    expect(await ask('/x', sentence => told.push(sentence))).toEqual([2]);
    expect(told[0]).toContain('Signed out');
  });

  it('take the levels of the first picture, where it has some', () => {
    const levels = { frames: [{ length: 30, ends: [10, 30] }] };
    const told = { series: '1', instance: '2', frame: 1, metadata: image(), levels };
    expect(firstLevels(told)).toEqual({ width: 100, height: 200, ends: [10, 30] });
    expect(firstLevels({ ...told, levels: { frames: [{ length: 30, ends: [] }] } })).toBeUndefined();
  });

  it('take the answer that was asked for before this script was here, once', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (path: string) => {
      asked.push(path);
      return new Response('{"series":["fetched"]}');
    });
    const early = (path: string) => vi.stubGlobal('firstlightAsked', { path, answer: Promise.resolve(new Response('{"series":["early"]}')) });
    early('/dicom-web/studies/1.2/first');
    expect((await first('1.2', undefined, () => undefined)).series).toEqual(['early']);
    expect((await first('1.2', undefined, () => undefined)).series).toEqual(['fetched']);
    early('/dicom-web/studies/1.9/first');
    expect((await first('1.2', '1.3', () => undefined)).series).toEqual(['fetched']);
    expect(asked).toEqual(['/dicom-web/studies/1.2/first', '/dicom-web/studies/1.2/first?series=1.3']);
  });

  it('put series with pictures first, by number', () => {
    const series = ([kind, number]: [string, number]) => ({ '00080060': words(kind), '00200011': { vr: 'IS', Value: [number] } });
    const order = inOrder(([['SR', 1], ['CT', 3], ['CT', 2]] as [string, number][]).map(series));
    expect(order.map(one => [one['00080060']!.Value![0], one['00200011']!.Value![0]])).toEqual([['CT', 2], ['CT', 3], ['SR', 1]]);
  });
});

describe('what is said of data sets', () => {
  it('a series opens at its middle, several frames at their first', () => {
    const slice = (z: number) => image({ '00080018': words(`1.${z}`), '00200032': decimals(0, 0, z), '00200037': decimals(1, 0, 0, 0, 1, 0) });
    expect(new Series('1', '2', Array.from({ length: 20 }, (_, z) => slice(z))).opening).toBe(10);
    expect(new Series('1', '2', [image({ '00280008': { vr: 'IS', Value: [20] } })]).opening).toBe(0);
    expect(new Series('1', '2', [slice(2), slice(1)]).indexOf('1.2', 1)).toBe(1);
  });

  it('a stack begins where its numbers do', () => {
    const slice = (z: number) => image({ '00200013': { vr: 'IS', Value: [9 - z] }, '00200032': decimals(0, 0, z), '00200037': decimals(1, 0, 0, 0, 1, 0) });
    expect(new Series('1', '2', [1, 3, 2].map(slice)).pictures.map(({ number }) => number)).toEqual([6, 7, 8]);
  });

  it('two studies of one ID may be of two people', () => {
    const person = (name: string, born: string) => ({ '00100010': { vr: 'PN', Value: [{ Alphabetic: name }] }, '00100030': { vr: 'DA', Value: [born] } });
    expect(difference(person('A^B', '19700101'), person('a^b', '19700101'))).toBe('');
    expect(difference(person('A^B', '19700101'), person('A^B', '19700102'))).toContain('1970-01-02');
    expect(difference(person('A^B', '19700101'), person('C^D', '19700101'))).toContain('another name');
  });

  it('values of a report read as text', () => {
    const code = (meaning: string, value = 'x') => ({ vr: 'SQ', Value: [{ '00080104': words(meaning), '00080100': words(value) }] });
    expect(valueOf({ '0040A040': words('TEXT'), '0040A160': words('calm') })).toBe('calm');
    expect(valueOf({ '0040A040': words('CODE'), '0040A168': code('Lung') })).toBe('Lung');
    expect(valueOf({ '0040A040': words('NUM'), '0040A300': { vr: 'SQ', Value: [{ '0040A30A': decimals(4.5), '004008EA': code('millimeter', 'mm') }] } })).toBe('4.5 millimeter');
    expect(valueOf({ '0040A040': words('CONTAINER') })).toBe('');
  });

  it('a header has lines for items below their sequence', () => {
    expect(lines({ '00081140': { vr: 'SQ', Value: [{ '00081155': words('1.2') }] }, '7FE00010': { vr: 'OW', BulkDataURI: 'x' } }, '')).toEqual([['(0008,1140)', 'SQ', '1 items'], ['> (0008,1155)', 'CS', '1.2'], ['(7FE0,0010)', 'OW', 'bulk data']]);
  });

  it('bits of an overlay begin with the lowest', () => expect([0, 1, 8, 9].map(at => bit(Uint8Array.from([1, 2]), at))).toEqual([true, false, false, true]));
});
