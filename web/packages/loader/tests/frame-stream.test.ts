import { describe, expect, it } from 'vitest';
import { FrameStream, type FrameStreamOptions, type StreamState } from '../src/frame-stream.ts';
import { endOf } from '../src/levels.ts';
import { codestream, LEVELS, TestDecoders, TestServer, until } from './server.ts';

function start(server: TestServer, options: Partial<FrameStreamOptions> = {}) {
  const decoders = new TestDecoders();
  const states: StreamState[] = [];
  const images: number[] = [];
  const complete: boolean[] = [];
  const stream = new FrameStream({
    url: 'http://here/frames/1',
    decoders,
    fetch: server.fetch,
    pauses: { first: 5, most: 20, stalled: 60 },
    onImage: image => {
      images.push(image.level);
      complete.push(image.complete);
    },
    onState: state => states.push(state),
    ...options,
  });
  const is = (state: StreamState['state']) => until(() => states.at(-1)?.state === state);
  return { stream, decoders, states, images, complete, is };
}

describe('a frame on its way', () => {
  it('comes by one request, level after level, each whole', async () => {
    const server = new TestServer();
    const { stream, images, decoders, is } = start(server);
    stream.want(0);
    await is('complete');
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]!.range).toBeNull();
    expect(images.at(-1)).toBe(0);
    expect([...images].sort((a, b) => b - a)).toEqual(images);
    expect(images.length).toBeGreaterThan(2);
    expect(decoders.open_).toBe(0);
  });

  it('ends at the byte of the wanted level, and goes on from there', async () => {
    const server = new TestServer();
    const { stream, images, is } = start(server, { levels: LEVELS });
    stream.want(2);
    await is('resting');
    expect(server.asked[0]!.range).toBe(`bytes=0-${endOf(LEVELS, 2) - 1}`);
    expect(server.given).toBe(endOf(LEVELS, 2));
    expect(images.at(-1)).toBe(2);
    stream.want(0);
    await is('complete');
    expect(server.asked[1]!).toMatchObject({ range: `bytes=${endOf(LEVELS, 2)}-`, ifRange: '"one"' });
    expect(server.given).toBe(codestream.length);
  });

  it('goes on from what another stream has received', async () => {
    const server = new TestServer();
    const first = start(server, { levels: LEVELS });
    first.stream.want(2);
    await first.is('resting');
    const second = start(server, { levels: LEVELS, begun: first.stream.begun });
    second.stream.want(2);
    await second.is('resting');
    expect(server.asked).toHaveLength(1);
    second.stream.want(0);
    await second.is('complete');
    expect(second.images).toEqual([2, ...second.images.slice(1)]);
    expect(server.asked[1]!).toMatchObject({ range: `bytes=${endOf(LEVELS, 2)}-`, ifRange: '"one"' });
    expect(server.given).toBe(codestream.length);
  });

  it('learns the levels from the codestream, and stops soon after the wanted one', async () => {
    const server = new TestServer();
    const { stream, images, is } = start(server);
    stream.want(2);
    await is('resting');
    expect(stream.levels).toEqual(LEVELS);
    expect(images.at(-1)).toBeLessThanOrEqual(2);
    expect(server.given).toBeLessThan(endOf(LEVELS, 2) + 2 * server.piece);
    stream.want(0);
    await is('complete');
    expect(server.given).toBe(codestream.length);
  });

  it('keeps what came when it is told to stop', async () => {
    const server = new TestServer();
    const { stream, is } = start(server);
    stream.want(0);
    await until(() => stream.have > 1000);
    stream.pause();
    await until(() => server.asked[0]!.aborted);
    const kept = stream.have;
    stream.want(0);
    await is('complete');
    expect(server.asked[1]!.range).toBe(`bytes=${kept}-`);
  });
});

describe('failures are states', () => {
  it.each([
    ['the line is lost at once', { request: 0, how: 'lost' as const }],
    ['the line is lost on the way', { request: 0, after: 900, how: 'lost' as const }],
    ['nothing more comes', { request: 0, after: 900, how: 'stalled' as const }],
    ['the server is busy', { request: 0, status: 503 }],
  ])('%s: it goes on by itself', async (_, fault) => {
    const server = new TestServer();
    server.faults = [fault];
    const { stream, states, images, is } = start(server);
    stream.want(0);
    await is('complete');
    expect(states.some(({ state }) => state === 'retrying')).toBe(true);
    expect(images.at(-1)).toBe(0);
    if (fault.after) expect(server.asked[1]!.range).toBe(`bytes=${fault.after}-`);
  });

  it('waits longer each time, and as long as it is told', async () => {
    const server = new TestServer();
    server.faults = [0, 1, 2, 3].map(request => ({ request, status: 503, headers: request === 3 ? { 'Retry-After': '0.05' } : {} }));
    const { stream, states, is } = start(server);
    stream.want(0);
    await is('complete');
    expect(states.flatMap(state => (state.state === 'retrying' ? [state.inMs] : []))).toEqual([5, 10, 20, 50]);
  });

  it('takes no other object for the rest of the first', async () => {
    const server = new TestServer();
    const { stream, images, is } = start(server, { levels: LEVELS });
    stream.want(3);
    await is('resting');
    server.etag = '"two"';
    stream.want(0);
    await is('complete');
    expect(server.asked.at(-1)!.given).toBe(codestream.length);
    expect(images.at(-1)).toBe(0);
  });

  it('wrong levels: the image comes all the same', async () => {
    const server = new TestServer();
    const { stream, images, is } = start(server, { levels: { ...LEVELS, ends: LEVELS.ends.map(end => end + 90_000) } });
    stream.want(0);
    await is('complete');
    expect(images.at(-1)).toBe(0);
  });

  it.each([0, 2])('levels that end sooner than they do: no image is given of which a part is missing (level %i)', async level => {
    const server = new TestServer();
    const { stream, images, decoders, is, complete } = start(server, { levels: { ...LEVELS, ends: LEVELS.ends.map(end => Math.ceil(end * 0.6)) } });
    decoders.lenient = true;
    stream.want(level);
    await is(level === 0 ? 'complete' : 'resting');
    expect(images.at(-1)).toBe(level);
    expect(complete.every(Boolean)).toBe(true);
    expect(stream.have).toBe(level === 0 ? codestream.length : endOf(LEVELS, 2));
    expect(server.given).toBeLessThan(codestream.length * 1.1);
  });

  it('a frame that is cut as it is stored is given as it is, once', async () => {
    const server = new TestServer();
    server.bytes = codestream.subarray(0, endOf(LEVELS, 1) + 100);
    const { stream, images, decoders, is, complete } = start(server, { levels: LEVELS });
    decoders.lenient = true;
    stream.want(0);
    await is('complete');
    expect([images.at(-1), complete.at(-1)]).toEqual([0, false]);
    expect(server.asked).toHaveLength(1);
  });

  it('a sign-in that ended is made anew', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, status: 401 }];
    let renewed = 0;
    const { stream, is } = start(server, { renew: async () => ++renewed === 1 });
    stream.want(0);
    await is('complete');
    expect(renewed).toBe(1);
  });

  it('what cannot be had says why, and is not asked for again and again', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, status: 404 }];
    const { stream, states, is } = start(server);
    stream.want(0);
    await is('failed');
    expect(states.at(-1)).toEqual({ state: 'failed', reason: 'because' });
    expect(server.asked).toHaveLength(1);
  });
});

it('what cannot be decoded is told of once, and the page lives on', async () => {
  const server = new TestServer();
  server.syntax = '1.2.840.10008.1.2.1';
  let tries = 0;
  const { stream, states, is } = start(server, {
    decodeWhole: async () => {
      tries++;
      throw new Error('one bit a pixel is not shown here');
    },
  });
  stream.want(0);
  await is('failed');
  await new Promise(later => setTimeout(later, 20));
  expect(tries).toBe(1);
  expect(states.filter(({ state }) => state === 'failed')).toEqual([{ state: 'failed', reason: 'one bit a pixel is not shown here' }]);
});

it('other transfer syntaxes come whole', async () => {
  const server = new TestServer();
  server.syntax = '1.2.840.10008.1.2.4.80';
  server.bytes = new Uint8Array(2000);
  const { stream, images, is } = start(server, {
    decodeWhole: async bytes => ({ width: 1, height: 1, components: 1, precision: 8, signed: false, level: 0, complete: true, need: undefined, samples: bytes }),
  });
  stream.want(2);
  await is('complete');
  expect(images).toEqual([0]);
});
