/** A stack of many pictures in little memory, against the loader's own test server. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LineMeter } from '@firstlight/loader';
import { LEVELS, TestDecoders, TestServer, until } from '../../loader/tests/server.ts';
import { ImageCache } from '../src/load/images.ts';
import type { Image, Loading, Wanting } from '../src/load/loading.ts';
import { Stack } from '../src/load/stack.ts';
import { one } from './pictures.ts';

/** So small on the screen that a quarter of its sides is useful. */
const SHOWN = { width: LEVELS.width / 2, height: LEVELS.height / 2 };
/** Bytes of a whole picture. */
const FULL = LEVELS.width * LEVELS.height * 2;

function start(count: number, memory: number) {
  const server = new TestServer();
  vi.stubGlobal('fetch', server.fetch);
  vi.stubGlobal('navigator', {});
  let wanting: Wanting = () => undefined;
  const cache = new ImageCache<Image>(memory);
  cache.want = frame => wanting(frame) ?? { rank: Infinity, far: Infinity };
  const loading = { budget: { images: memory, streams: 1 << 20, volume: 0, workers: 1, recycleAt: 0 }, share: 0.75 * memory, pool: new TestDecoders(), meter: new LineMeter(), cache, join: (own: Wanting) => ((wanting = own), () => undefined) };
  const pictures = Array.from({ length: count }, (_, n) => ({ ...one(), instance: `1.${n}`, columns: LEVELS.width, rows: LEVELS.height }));
  const shown = new Set<number>();
  const stack = new Stack(pictures, loading as unknown as Loading, { onImage: at => shown.add(at), onTrouble: () => undefined });
  return { server, stack, shown, cache };
}

describe('a stack', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('shows again what memory has let go, from the bytes that it kept', async () => {
    const { server, stack, shown, cache } = start(30, 2.5 * FULL);
    for (let step = 0; step < 90; step++) {
      // There and back again, faster than all of it could be kept.
      const at = Math.abs(((step + 29) % 58) - 29);
      stack.look(at, SHOWN);
      await until(() => stack.image(at) !== undefined);
    }
    expect(shown.size).toBe(30);
    expect(cache.bytes).toBeLessThanOrEqual(2.5 * FULL);
    // It comes to rest at the full picture, and asks for nothing any more.
    const last = Math.abs(((89 + 29) % 58) - 29);
    await until(() => stack.image(last)?.level === 0);
    await new Promise(later => setTimeout(later, 700));
    const asked = server.asked.length;
    await new Promise(later => setTimeout(later, 300));
    expect(server.asked.length).toBe(asked);
    stack.close();
  });
});
