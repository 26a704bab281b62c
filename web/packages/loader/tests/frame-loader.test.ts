import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { endOf } from '../src/levels.ts';
import { FrameLoader } from '../src/loading/frame-loader.ts';
import { inlineDecoders } from '../src/loading/inline-decoder.ts';
import type { FromLoader, Job } from '../src/loading/messages.ts';
import { LEVELS, TestDecoders, TestServer, until } from './server.ts';

const job = (frame: string, level: number, more: Partial<Job> = {}): Job => ({ frame, url: `http://here/${frame}`, level, worth: [], shape: { slope: 1, intercept: 0, bits: 12 }, ...more });

function start(server = new TestServer(), decoders = new TestDecoders() as ConstructorParameters<typeof FrameLoader>[0]['decoders'], first = 5) {
  const said: FromLoader[] = [];
  const loader = new FrameLoader({ decoders, say: message => said.push(message), fetch: server.fetch });
  loader.hear({ type: 'start', requests: 3, pauses: { first, most: 4 * first, stalled: 200 } });
  const levels = (frame: string) => said.flatMap(message => (message.type === 'picture' && message.frame === frame ? [message.picture.level] : []));
  const want = (...jobs: Job[]) => loader.hear({ type: 'want', jobs, headers: {} });
  return { server, loader, said, levels, want };
}

describe('a loader', () => {
  it('gives only the wanted level, and those of worth on the way', async () => {
    const { levels, want } = start();
    want(job('a', 0, { worth: [2] }), job('b', 0));
    await until(() => levels('a').includes(0) && levels('b').includes(0));
    // On a line that seems slow (a busy machine) a coarser level may come before.
    expect(levels('a').slice(-2)).toEqual([2, 0]);
    expect(levels('a').filter(level => level < 2)).toEqual([0]);
    expect(levels('b')).toEqual([0]);
  });

  it('goes on from the byte where it stopped when more is wanted, and gives nothing twice', async () => {
    const { server, levels, want } = start();
    want(job('a', 2, { levels: LEVELS }));
    await until(() => levels('a').includes(2));
    want(job('a', 2, { levels: LEVELS }));
    want(job('a', 0, { levels: LEVELS }));
    await until(() => levels('a').includes(0));
    expect(levels('a')).toEqual([2, 0]);
    expect(server.asked.map(({ range }) => range)).toEqual([`bytes=0-${endOf(LEVELS, 2) - 1}`, `bytes=${endOf(LEVELS, 2)}-`]);
  });

  it('ends what is wanted no more, and keeps its bytes', async () => {
    const { server, levels, want } = start();
    server.piece = 50;
    want(job('a', 0));
    await until(() => (server.asked[0]?.given ?? 0) > 1000);
    want();
    await until(() => server.asked[0]!.aborted);
    want(job('a', 0));
    await until(() => levels('a').includes(0));
    expect(server.asked[1]!.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it('begins with what leads, whatever the page wants meanwhile, until the page wants that too or nobody does', async () => {
    const { server, loader, levels, want } = start();
    server.piece = 50;
    loader.lead([job('a', 0, { worth: [2] })], { Authorization: 'Bearer x' });
    want();
    want(job('b', 0));
    await until(() => levels('a').includes(2));
    expect(server.asked[0]!.url).toBe('http://here/a');
    want(job('a', 0), job('b', 0));
    want(job('b', 0));
    await until(() => server.asked[0]!.aborted);
    loader.lead([job('c', 0)]);
    await until(() => server.asked.some(({ url }) => url.endsWith('/c')));
    loader.lead([]);
    await until(() => server.asked.find(({ url }) => url.endsWith('/c'))!.aborted);
    await until(() => levels('b').includes(0));
  });

  it('has many frames lead until the page has an order of its own for them', async () => {
    const { server, loader, levels, want } = start();
    server.piece = 50;
    loader.lead(['a', 'b', 'c', 'd'].map(frame => job(frame, 1)));
    want(job('e', 1));
    await until(() => ['a', 'b', 'c', 'd', 'e'].every(frame => levels(frame).includes(1)));
    expect(server.asked.map(({ url }) => url.at(-1)).slice(0, 4)).toEqual(['a', 'b', 'c', 'd']);
    loader.lead(['f', 'g', 'h'].map(frame => job(frame, 1)));
    want(job('i', 1), job('h', 1));
    await until(() => levels('i').includes(1) && levels('h').includes(1));
    await new Promise(later => setTimeout(later, 20));
    expect([levels('f'), levels('g')].flat()).toEqual([]);
    // What the page has let go does not lead any more.
    loader.lead(['k', 'l'].map(frame => job(frame, 1)));
    await until(() => levels('k').includes(1));
    loader.hear({ type: 'forget', frames: ['k'] });
    want(job('i', 1));
    await until(() => levels('l').includes(1));
    await new Promise(later => setTimeout(later, 20));
    expect(levels('k')).toEqual([1]);
  });

  it('loads again what the page has let go', async () => {
    const { server, loader, levels, want } = start();
    want(job('a', 0));
    await until(() => levels('a').includes(0));
    want(job('a', 0));
    await new Promise(later => setTimeout(later, 20));
    expect(server.asked).toHaveLength(1);
    loader.hear({ type: 'forget', frames: ['a'] });
    want(job('a', 0));
    await until(() => levels('a').length === 2);
    expect(server.asked).toHaveLength(2);
  });

  it('keeps the bytes of what the page let go but may want again, and asks for none of them twice', async () => {
    const { server, loader, levels, want } = start();
    want(job('a', 2, { levels: LEVELS }), job('b', 2, { levels: LEVELS }));
    await until(() => levels('a').includes(2) && levels('b').includes(2));
    loader.hear({ type: 'forget', frames: ['a'], keep: true });
    await new Promise(later => setTimeout(later, 20));
    expect(levels('a')).toEqual([2]);
    want(job('a', 2));
    await until(() => levels('a').length === 2);
    expect(server.asked).toHaveLength(2);
    want(job('a', 0));
    await until(() => levels('a').includes(0));
    expect(server.asked[2]!.range).toBe(`bytes=${endOf(LEVELS, 2)}-`);
    // What is released is still the page's: only a finer level is asked for, from the beginning.
    loader.hear({ type: 'release', frames: ['b'] });
    want(job('b', 2));
    await new Promise(later => setTimeout(later, 20));
    expect(server.asked).toHaveLength(3);
    want(job('b', 1));
    await until(() => levels('b').includes(1));
    expect(server.asked[3]!.range).toBe(`bytes=0-${endOf(LEVELS, 1) - 1}`);
  });

  it('ends what is under way before the rest, where it is told to', async () => {
    const { server, levels, loader, want } = start();
    server.piece = 50;
    want(job('a', 2, { levels: LEVELS }));
    await until(() => (server.asked[0]?.given ?? 0) > 0);
    loader.hear({ type: 'want', jobs: [job('b', 2)], headers: {}, finish: true });
    await until(() => levels('a').includes(2) && levels('b').includes(2));
    expect(server.asked.map(({ url }) => url)).toEqual(['http://here/a', 'http://here/b']);
  });

  it('gives samples as they are where nothing is to be made of them, and hands on what is known of a frame that comes whole', async () => {
    const server = new TestServer();
    server.syntax = '1.2.840.10008.1.2.1';
    const said: FromLoader[] = [];
    const image = { width: 1, height: 1, components: 1, precision: 8, signed: true, level: 0, complete: true, need: undefined, samples: Int8Array.of(-5) };
    const decodeWhole = async (_: string, __: Uint8Array, ___: string, form: unknown) => ({ ...image, width: form as number });
    const loader = new FrameLoader({ decoders: new TestDecoders(), decodeWhole, say: message => said.push(message), fetch: server.fetch });
    loader.hear({ type: 'start', requests: 3 });
    const asIs = (form?: number): Job => ({ frame: 'a', url: 'http://here/a', level: 0, form });
    loader.hear({ type: 'want', jobs: [asIs(7)], headers: {} });
    loader.hear({ type: 'want', jobs: [asIs()], headers: {} });
    await until(() => said.some(({ type }) => type === 'image'));
    expect(said.flatMap(message => (message.type === 'image' ? [message.image] : []))).toEqual([{ ...image, width: 7 }]);
  });

  it('asks once for another sign-in, and gives up without one', async () => {
    const server = new TestServer();
    server.faults = [0, 1, 2, 3, 4, 5].map(request => ({ request, status: 401 }));
    const { loader, said, want } = start(server);
    want(job('a', 0), job('b', 0));
    await until(() => said.some(({ type }) => type === 'renew'));
    await new Promise(later => setTimeout(later, 20));
    expect(said.filter(({ type }) => type === 'renew')).toHaveLength(1);
    loader.hear({ type: 'renewed', worked: false, headers: {} });
    await until(() => said.filter(message => message.type === 'state' && message.state.state === 'failed').length === 2);
    expect(server.asked).toHaveLength(2);
    server.faults = [];
    loader.hear({ type: 'retry' });
    await until(() => said.filter(message => message.type === 'picture').length === 2);
  });

  it('tells of the line while an answer is awaited, and no more after', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, how: 'stalled', after: 100 }];
    const { loader, said, want } = start(server);
    loader.hear({ type: 'start', requests: 3, pauses: { first: 5, most: 20, stalled: 5000 } });
    want(job('a', 0));
    const lines = () => said.flatMap(message => (message.type === 'line' ? [message.line] : []));
    await until(() => lines().length === 3);
    // At once, that it is asked for, then what there is of it.
    expect(lines().map(({ open, bytes }) => [open, bytes])).toEqual([[1, 0], [1, 100], [1, 100]]);
    expect(said.flatMap(message => (message.type === 'line' ? [message.underWay.get('a')] : []))).toEqual([0, 100, 100]);
    want();
    await until(() => lines().length === 4);
    expect(lines()[3]!.open).toBe(0);
    await new Promise(later => setTimeout(later, 700));
    expect(lines()).toHaveLength(4);
  });

  it('tries at once what waits for its next try, when it is told to', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, how: 'lost' }];
    const { loader, said, levels, want } = start(server, undefined, 60_000);
    want(job('a', 0));
    await until(() => said.some(message => message.type === 'state' && message.state.state === 'retrying'));
    loader.hear({ type: 'retry' });
    await until(() => levels('a').includes(0));
    expect(server.asked).toHaveLength(2);
  });

  it('keeps few requests under way', async () => {
    const server = new TestServer();
    server.faults = Array.from({ length: 10 }, (_, request) => ({ request, how: 'stalled' as const, after: 100 }));
    const { want } = start(server);
    want(...Array.from({ length: 10 }, (_, n) => job(`${n}`, 0)));
    await new Promise(later => setTimeout(later, 50));
    expect(server.asked.length).toBe(3);
  });
});

const module = (process.env.WASM_DIR ?? fileURLToPath(new URL('../../../../.cache/wasm', import.meta.url))) + '/htj2k.wasm';
if (!existsSync(module)) console.warn(`SKIPPED: no module at ${module} (make wasm)`);

it.skipIf(!existsSync(module))('decodes every sample with the real decoder, beside the fetch', async () => {
  const decoders = inlineDecoders(`data:application/wasm;base64,${readFileSync(module).toString('base64')}`);
  const { said, levels, want } = start(new TestServer(), decoders);
  want(job('a', 0, { worth: [1], shape: { slope: 2, intercept: 7, bits: 12, type: 'Int16Array', full: { width: 90, height: 70 } } }));
  await until(() => levels('a').includes(0));
  const pictures = said.flatMap(message => (message.type === 'picture' ? [message.picture] : []));
  expect(pictures.every(({ width, height }) => width === 90 && height === 70)).toBe(true);
  // On a line that seems slow (a busy machine) a coarser level may come before.
  expect(levels('a').slice(-2)).toEqual([1, 0]);
  const formula = (x: number, y: number) => ((x * x + 3 * y * y + 7 * x * y) % 3001) - 1500;
  const { values } = pictures.at(-1)!;
  for (let y = 0; y < 70; y++) for (let x = 0; x < 90; x++) expect(values[y * 90 + x]).toBe(2 * formula(x, y) + 7);
});
