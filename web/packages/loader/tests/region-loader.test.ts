import { expect, it } from 'vitest';
import type { RegionJob } from '../src/loading/messages.ts';
import { RegionLoader, type SparseFrame } from '../src/loading/region-loader.ts';
import { until } from './server.ts';

const LENGTH = 1000;
const STREAM = Uint8Array.from({ length: LENGTH }, (_, n) => n % 251);
const REGION = { x: 0, y: 3, width: 4, height: 1 };
const job = (frame: string, region = REGION): RegionJob => ({ frame, url: `http://here/${frame}`, region, detail: 'rows', shape: { slope: 1, intercept: 0, bits: 8 } });

interface Asked {
  url: string;
  range: string;
  ifRange: string | null;
  answer(response: Response): void;
}

/** Needs a header of 150 bytes and two pieces; what it decodes are the first bytes of the second. */
function start({ etag = '"one"', layout = true, patience = 1000 } = {}) {
  const asked: Asked[] = [];
  const came: [string, number[] | undefined][] = [];
  let frames = 0;
  let changes = 0;
  const loader = new RegionLoader({
    begun: frame => (frame === 'unknown' ? undefined : { bytes: STREAM.slice(0, 100), etag: '"one"', length: LENGTH }),
    async open() {
      frames++;
      const pieces = new Map<number, Uint8Array>();
      return {
        push: bytes => expect([...bytes]).toEqual([...STREAM.slice(0, 100)]),
        put: (offset, bytes) => {
          expect([...bytes]).toEqual([...STREAM.slice(offset, offset + bytes.length)]);
          pieces.set(offset, bytes);
        },
        ranges: () => (!layout ? undefined : !pieces.has(100) ? { first: [100, 150] } : { ranges: [[300, 340], [600, 620]] }),
        decodeRegion: ({ width, height }) => ({ width, height, level: 0, components: 1, precision: 8, signed: false, complete: false, need: undefined, samples: pieces.get(600)!.slice(0, width * height) }),
        close: () => void frames--,
      } satisfies SparseFrame;
    },
    fetch: (url, { headers, signal }) =>
      new Promise((answer, refuse) => {
        const { Range, ...others } = headers as Record<string, string>;
        signal?.addEventListener('abort', () => refuse(signal.reason));
        asked.push({ url, range: Range!, ifRange: others['If-Range'] ?? null, answer });
      }),
    onRegion: ({ frame }, image) => came.push([frame, image && [...image.samples]]),
    onChange: () => void changes++,
    patience,
  });
  const give = async (n: number) => {
    await until(() => asked.length > n);
    const [from, to] = /(\d+)-(\d+)/.exec(asked[n]!.range)!.slice(1).map(Number) as [number, number];
    asked[n]!.answer(new Response(STREAM.slice(from, to + 1), { status: 206, headers: { ETag: etag, 'Content-Range': `bytes ${from}-${to}/${LENGTH}` } }));
  };
  return { loader, asked, came, give, open: () => frames, changes: () => changes };
}

it('fetches what is missing of the header, then the pieces, and nothing else', async () => {
  const { loader, asked, came, give, open, changes } = start();
  loader.want([job('a')]);
  for (let n = 0; n < 3; n++) await give(n);
  await until(() => came.length === 1);
  expect(asked.map(({ range, ifRange }) => [range, ifRange])).toEqual([['bytes=100-149', '"one"'], ['bytes=300-339', '"one"'], ['bytes=600-619', '"one"']]);
  expect(came).toEqual([['a', [...STREAM.slice(600, 604)]]]);
  expect([open(), loader.size, changes()]).toEqual([0, 0, 1]);
  loader.want([job('a')]);
  expect(loader.size).toBe(0);
});

it('says where it can not be had: of another layout, of an object that changed, of a frame of which nothing came', async () => {
  const other = start({ layout: false });
  other.loader.want([job('a')]);
  await until(() => other.came.length === 1);
  const changed = start({ etag: '"two"' });
  changed.loader.want([job('a'), job('unknown')]);
  await changed.give(0);
  await until(() => changed.came.length === 2);
  expect([...other.came, ...changed.came]).toEqual([['a', undefined], ['unknown', undefined], ['a', undefined]]);
  expect([other.open(), changed.open()]).toEqual([0, 0]);
});

it('gives up a piece that does not come, and asks once for what is wanted twice', async () => {
  const { loader, asked, came } = start({ patience: 30 });
  loader.want([job('a'), job('a')]);
  await until(() => came.length === 1);
  expect([came, asked.length, loader.size]).toEqual([[['a', undefined]], 1, 0]);
  // Those that have not begun are given up with the first: full frames would wait for each of them.
  loader.want(['b', 'c', 'd', 'e', 'f', 'g', 'h'].map(frame => job(frame)));
  await until(() => came.length === 8 && loader.size === 0);
  expect(asked).toHaveLength(1 + 5);
});

it('ends what is wanted no more, and asks for so many at once', async () => {
  const { loader, asked, came, open } = start();
  loader.want(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(frame => job(frame)));
  await until(() => asked.length === 5);
  loader.want([job('f')]);
  await until(() => asked.some(({ url }) => url.endsWith('/f')));
  await until(() => loader.size === 1 && open() === 1);
  expect(came).toEqual([]);
  // Another region of the same frame is another wish.
  loader.want([job('f', { ...REGION, y: 5 })]);
  await until(() => asked.filter(({ url }) => url.endsWith('/f')).length === 2);
});
