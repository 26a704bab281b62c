/** Stacks and the loading that they share, against the loader's own test server. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { localPort, type FromLoader, type LoaderPort, type ToLoader } from '@firstlight/loader/loading';
import { LEVELS, TestDecoders, TestServer, until } from '../../loader/tests/server.ts';
import { Loading } from '../src/load/loading.ts';
import { native, type Form } from '../src/load/native.ts';
import { keyOf, Stack } from '../src/load/stack.ts';
import { one } from './pictures.ts';

/** So small on the screen that a quarter of its sides is useful. */
const SHOWN = { width: LEVELS.width / 2, height: LEVELS.height / 2 };
/** Bytes of a whole picture. */
const FULL = LEVELS.width * LEVELS.height * 2;
const MANY = new Map(Array.from({ length: 60 }, (_, n) => [`1.${n}/1`, LEVELS.ends]));

function start(count: number, memory: number, streams = 1 << 20) {
  const server = new TestServer();
  vi.stubGlobal('navigator', {});
  const said: ToLoader[] = [];
  const port = spied(localPort(new TestDecoders(), server.fetch, async (_, bytes, __, form) => native(form as Form, bytes)), said);
  const loading = new Loading(port, { images: memory, streams, volume: 0, recycleAt: 0, decoded: 1e9 });
  const pictures = Array.from({ length: count }, (_, n) => ({ ...one(), instance: `1.${n}`, columns: LEVELS.width, rows: LEVELS.height }));
  const shown = new Set<number>();
  const told: string[] = [];
  const stack = () => new Stack(pictures, loading, { onImage: at => shown.add(at), onTrouble: (_, sentence) => told.push(sentence) });
  return { server, loading, pictures, stack: stack(), another: stack, shown, said, told, hear: (message: FromLoader) => port.onMessage(message) };
}

function spied(port: LoaderPort, said: ToLoader[]): LoaderPort {
  const { post } = port;
  port.post = message => {
    said.push(message);
    post(structuredClone(message));
  };
  return port;
}

const rest = () => new Promise(later => setTimeout(later, 700));

describe('a stack', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('shows again what memory has let go, from the bytes that it kept', async () => {
    const { server, stack, shown, loading } = start(30, 2.5 * FULL);
    for (let step = 0; step < 90; step++) {
      // There and back again, faster than all of it could be kept.
      const at = Math.abs(((step + 29) % 58) - 29);
      stack.look(at, SHOWN);
      await until(() => stack.image(at) !== undefined);
    }
    expect(shown.size).toBe(30);
    expect(loading.cache.bytes).toBeLessThanOrEqual(2.5 * FULL);
    // It comes to rest at the full picture, and asks for nothing any more.
    const last = Math.abs(((89 + 29) % 58) - 29);
    await until(() => stack.image(last)?.level === 0);
    await rest();
    const asked = server.asked.length;
    await new Promise(later => setTimeout(later, 300));
    expect(server.asked.length).toBe(asked);
    stack.close();
  });

  it('fetches no byte twice while what was received is within its budget', async () => {
    const { server, stack, loading } = start(20, 1.2 * FULL);
    stack.know(MANY);
    for (const at of [0, 6, 12, 0, 6, 12]) {
      stack.look(at, SHOWN);
      await until(() => stack.image(at) !== undefined);
      await rest();
    }
    const given = new Map<string, number>();
    for (const { url, given: bytes } of server.asked) given.set(url, (given.get(url) ?? 0) + bytes);
    // Complete pictures are asked for anew when memory has let them go.
    const twice = [...given].filter(([url, bytes]) => !/1\.(0|6|12)\/frames/.test(url) && bytes > LEVELS.ends.at(-3)!);
    expect([twice, given.size]).toEqual([[], 18]);
    expect(loading.streamBytes).toBeGreaterThan(0);
    stack.close();
    expect(loading.streamBytes).toBe(0);
  });

  it('keeps what was received in part within its budget, the near ones first', async () => {
    const budget = 6 * LEVELS.ends.at(-3)!;
    const { stack, loading } = start(40, 40 * FULL, budget);
    stack.know(MANY);
    stack.look(20, SHOWN);
    await until(() => Array.from({ length: 40 }, (_, n) => stack.image(n)).every(Boolean));
    await rest();
    expect(loading.streamBytes).toBeLessThanOrEqual(budget);
    expect(loading.streamBytes).toBeGreaterThan(budget / 2);
    stack.close();
  });

  it('takes a frame without compression as it lies', async () => {
    const { server, stack } = start(1, 40 * FULL);
    server.syntax = '1.2.840.10008.1.2.1';
    server.bytes = new Uint8Array(FULL).fill(1);
    stack.look(0, SHOWN);
    await until(() => stack.image(0) !== undefined);
    expect([stack.image(0)!.samples.length, stack.image(0)!.samples[5], stack.image(0)!.level]).toEqual([FULL / 2, 0x101, 0]);
    stack.close();
  });

  it('shows nothing reduced of what must come whole', async () => {
    const { loading } = start(0, 40 * FULL);
    const pictures = [0, 1, 2].map(n => ({ ...one(), instance: `2.${n}`, columns: LEVELS.width, rows: LEVELS.height, wholeOnly: 'labels' }));
    const levels: number[] = [];
    const stack = new Stack(pictures, loading, { onImage: at => levels.push(stack.image(at)!.level), onTrouble: () => undefined });
    stack.look(1, SHOWN);
    await until(() => levels.length === 3);
    expect(levels).toEqual([0, 0, 0]);
    stack.close();
  });

  it('says what fails, tries it again for who comes back, and for whom it is told to', async () => {
    const { server, stack, told } = start(2, 40 * FULL);
    server.faults = Array.from({ length: 4 }, (_, request) => ({ request, status: 404 }));
    stack.look(0, SHOWN);
    await until(() => stack.failure(0) !== undefined && stack.failure(1) !== undefined);
    expect(told).toContain('This image cannot be shown: because');
    const asked = server.asked.length;
    await rest();
    expect(server.asked.length).toBe(asked);
    server.faults = [];
    stack.look(1, SHOWN);
    await until(() => stack.image(1) !== undefined);
    stack.retry();
    await until(() => stack.image(0) !== undefined);
    stack.close();
  });

  it('goes on by itself when somebody signs in again', async () => {
    const { server, stack, told } = start(1, 40 * FULL);
    server.faults = [{ request: 0, status: 401 }];
    stack.look(0, SHOWN);
    await until(() => stack.image(0)?.level === 0);
    expect(told.some(sentence => sentence.startsWith('Signed out'))).toBe(true);
    expect(told.at(-1)).toBe('');
    stack.close();
  });

  it('tells the worker once what it needs to know of a frame', async () => {
    const { stack, said } = start(6, 40 * FULL);
    stack.know(MANY);
    for (const at of [0, 1, 2, 3]) stack.look(at, SHOWN);
    await until(() => stack.image(3)?.level === 0);
    const jobs = said.flatMap(message => (message.type === 'want' ? message.jobs : []));
    for (let n = 0; n < 6; n++) expect(jobs.filter(({ frame, levels }) => frame === `1.${n}/1` && levels)).toHaveLength(1);
    stack.close();
  });

  it('has each frame once, though two viewports show the series', async () => {
    const { server, stack, another } = start(5, 40 * FULL);
    const second = another();
    stack.look(0, SHOWN);
    second.look(0, SHOWN);
    await until(() => [0, 1, 2, 3, 4].every(at => stack.image(at) && second.image(at)));
    await until(() => second.image(0)?.level === 0);
    const whole = server.asked.filter(({ url }) => url.includes('instances/1.0/'));
    expect(whole.reduce((sum, { given }) => sum + given, 0)).toBeLessThanOrEqual(LEVELS.ends.at(-1)!);
    // What the other still shows stays known when one goes.
    stack.close();
    second.look(1, SHOWN);
    await until(() => second.image(1)?.level === 0);
    second.close();
  });

  it('wants a level of every picture for who needs the series', async () => {
    const { stack, pictures } = start(30, 3 * FULL);
    stack.know(MANY);
    stack.look(15, SHOWN);
    const taken = new Map<number, number>();
    stack.collect(1, (at, image) => taken.set(at, image.level));
    await until(() => taken.size === pictures.length);
    expect(Math.max(...taken.values())).toBeLessThanOrEqual(1);
    stack.endCollection();
    stack.close();
  });
});

it('a frame is named by its instance and number', () => expect(keyOf({ instance: '1.2', frame: 3 })).toBe('1.2/3'));
