import { describe, expect, it } from 'vitest';
import { coarsest, endOf, fittingLevel, LevelCache, levelIn, levelsOfCodestream, LineMeter, outwards, Scheduler, ScrollPredictor, usefulLevel, volumeOrder, type Stream } from '../src/index.ts';
import { codestream, LEVELS } from './server.ts';

describe('levels', () => {
  const levels = { width: 2000, height: 2128, ends: [2000, 9000, 31_000, 72_000, 277_000, 1_090_000, 4_250_000] };

  it('are byte counts from the start', () => {
    expect(coarsest(levels)).toBe(6);
    expect([endOf(levels, 6), endOf(levels, 0)]).toEqual([2000, 4_250_000]);
    expect([levelIn(levels, 1999), levelIn(levels, 2000), levelIn(levels, 300_000), levelIn(levels, 9e9)]).toEqual([undefined, 6, 2, 0]);
  });

  it('fit the view: a pixel for each device pixel, or for a quarter of them', () => {
    expect(fittingLevel(levels, { width: 800, height: 851 })).toBe(1);
    expect(usefulLevel(levels, { width: 800, height: 851 })).toBe(2);
    expect(fittingLevel(levels, { width: 5000, height: 5000 })).toBe(0);
    expect(usefulLevel(levels, { width: 1, height: 1 })).toBe(6);
  });

  it('are told by the codestream itself, as soon as its header is there', () => {
    expect(LEVELS).toEqual({ width: 90, height: 70, ends: [167, 232, 379, 882, 2692, 9038] });
    let first: number | undefined;
    for (let bytes = 0; bytes < 300; bytes++) {
      const told = levelsOfCodestream(codestream.subarray(0, bytes));
      expect(told === undefined || told !== null).toBe(true);
      if (told) first ??= bytes;
    }
    expect(first).toBeLessThanOrEqual(LEVELS.ends[0]!);
  });

  it('are not guessed from what is none', () => {
    expect(levelsOfCodestream(new Uint8Array(100))).toBeNull();
    const damaged = codestream.slice();
    for (let at = 2; at < 130; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        damaged[at] = value;
        const told = levelsOfCodestream(damaged);
        if (told) expect(told.ends.every((end, n) => end > (told.ends[n - 1] ?? 0) || end >= 0)).toBe(true);
      }
      damaged[at] = codestream[at]!;
    }
  });
});

describe('the line', () => {
  it('is measured from requests that share it', () => {
    let now = 0;
    const meter = new LineMeter(() => now);
    expect(meter.time(1000)).toBeUndefined();
    const [one, two] = [meter.begin(), meter.begin()];
    now = 80;
    one.received(0);
    two.received(0);
    for (; now < 2080; now += 20) {
      one.received(5000);
      two.received(5000);
    }
    one.end();
    two.end();
    expect(meter.delay).toBeCloseTo(80, -1);
    expect(meter.throughput! / 500_000).toBeGreaterThan(0.85);
    expect(meter.throughput! / 500_000).toBeLessThan(1.15);
    expect(meter.concurrency(5_000, 6)).toBe(6);
    expect(meter.concurrency(20_000, 6)).toBe(3);
    expect(meter.concurrency(4_000_000, 6)).toBe(2);
  });
});

describe('a line of small requests', () => {
  it('is as fast as one of large ones: waiting for an answer is no transfer', () => {
    let now = 0;
    const meter = new LineMeter(() => now);
    for (let n = 0; n < 20; n++) {
      const one = meter.begin();
      now += 60;
      for (let piece = 0; piece < 5; piece++, now += 4) one.received(4000);
      one.end();
    }
    expect(meter.throughput! / 1_000_000).toBeGreaterThan(0.7);
    expect(meter.throughput! / 1_000_000).toBeLessThan(1.3);
    expect(meter.delay).toBeCloseTo(60, 0);
  });
});

describe('a line read by a thread that has other work', () => {
  it('is no slower than what comes in half a second, and slower soon when it is', () => {
    let now = 0;
    const meter = new LineMeter(() => now);
    // 60 kB lie there in one piece each time the thread looks, and while it decodes nothing is read.
    const read = (ms: number) => {
      const one = meter.begin();
      now += 10;
      one.received(60_000);
      now += ms - 10;
      one.end();
    };
    for (let n = 0; n < 50; n++) read(30);
    expect(meter.throughput! / 2_000_000).toBeGreaterThan(0.9);
    expect(meter.throughput! / 2_000_000).toBeLessThan(1.1);
    for (let n = 0; n < 20; n++) read(300);
    expect(meter.throughput!).toBeLessThan(250_000);
    // A pause is none of the line's.
    now += 10_000;
    for (let n = 0; n < 50; n++) read(30);
    expect(meter.throughput! / 2_000_000).toBeGreaterThan(0.9);
  });
});

describe('order', () => {
  it('goes outwards, each slice once', () => {
    expect(outwards(7, 2)).toEqual([2, 3, 1, 4, 0, 5, 6]);
    expect(outwards(5, 4, -1)).toEqual([4, 3, 2, 1, 0]);
    expect(outwards(0, 3)).toEqual([]);
  });

  it('takes a useful level of every slice before any is full', () => {
    const order = volumeOrder(143, 70, 1);
    expect(order.slice(0, 143).every(({ level }) => level === 1)).toBe(true);
    expect(new Set(order.slice(0, 143).map(({ slice }) => slice)).size).toBe(143);
    expect(order.slice(143).map(({ slice, level }) => [slice, level])).toEqual(outwards(143, 70).map(slice => [slice, 0]));
    expect(order[0]!.slice).toBe(70);
  });

  it('takes what lacks most as the first to be full, and each slice once', () => {
    const full = volumeOrder(9, 4, 1, { lacking: [8, 0] }).slice(9);
    expect(full.map(({ slice, level }) => [slice, level])).toEqual([8, 0, 4, 5, 3, 6, 2, 7, 1].map(slice => [slice, 0]));
    expect(volumeOrder(9, 4, 0, { lacking: [8] })).toHaveLength(9);
  });

  it('predicts from direction and speed, not from jumps', () => {
    let now = 0;
    const predictor = new ScrollPredictor(() => now);
    for (let slice = 100; slice < 108; slice++, now += 50) predictor.at(slice);
    expect(predictor.speed).toBeCloseTo(20, 0);
    expect(predictor.ahead(500, 1, 30).slice(0, 4)).toEqual([107, 108, 106, 109]);
    expect(predictor.ahead(500, 1, 30)).toContain(125);
    // The page was busy for a third of a second: the same speed in one step.
    now += 300;
    predictor.at(107 + 7);
    now += 350;
    predictor.at(114 + 18);
    expect(predictor.speed).toBeGreaterThan(25);
    // The scroll bar.
    now += 50;
    predictor.at(300);
    expect(predictor.speed).toBe(0);
    now += 1000;
    expect(predictor.speed).toBe(0);
    predictor.at(400);
    expect(predictor.ahead(500, 1, 5)).toEqual([400, 401, 399, 402, 398]);
  });
});

describe('memory', () => {
  it('is bounded: full levels go before previews, far before near', () => {
    const cache = new LevelCache<{ bytes: number; level: number }>(100);
    cache.want = frame => ({ rank: Infinity, far: Math.abs(Number(frame) - 5) });
    for (let frame = 0; frame < 10; frame++) cache.put(String(frame), { bytes: 4, level: 2 });
    for (let frame = 10; frame < 20; frame++) {
      cache.put(String(frame), { bytes: 16, level: 0 });
      expect(cache.bytes).toBeLessThanOrEqual(100);
    }
    expect([...Array(10).keys()].every(frame => cache.has(String(frame), 2))).toBe(true);
    expect([10, 11, 12, 13].map(frame => cache.has(String(frame), 0))).toEqual([true, true, false, false]);
    cache.clear();
    expect(cache.bytes).toBe(0);
  });

  it('keeps a full image that is looked at, and lets a far preview go', () => {
    const evicted: string[] = [];
    const cache = new LevelCache<{ bytes: number; level: number }>(24, frame => evicted.push(frame));
    cache.want = frame => ({ rank: frame === 'here' ? 0 : Infinity, far: frame === 'here' ? 0 : Number(frame) });
    cache.put('here', { bytes: 16, level: 0 });
    for (const frame of ['90', '5', '40']) cache.put(frame, { bytes: 4, level: 2 });
    expect(evicted).toEqual(['90']);
    expect(cache.best('here')!.level).toBe(0);
  });

  it('holds what is larger than the bound alone, for it is on the screen', () => {
    const cache = new LevelCache<{ bytes: number; level: number }>(10);
    cache.put('small', { bytes: 5, level: 0 });
    cache.put('large', { bytes: 50, level: 0 });
    expect([cache.best('small'), cache.best('large')?.bytes]).toEqual([undefined, 50]);
  });
});

describe('the scheduler', () => {
  function setUp(most = 2) {
    const log: string[] = [];
    const done = new Map<string, number>();
    const ends = new Map<string, () => void>();
    const scheduler = new Scheduler({
      open: (frame, ended): Stream => {
        ends.set(frame, ended);
        return { want: level => log.push(`${frame}@${level}`), pause: () => log.push(`${frame} stop`) };
      },
      has: (frame, level) => (done.get(frame) ?? 99) <= level,
      concurrency: () => most,
    });
    const end = (frame: string, level: number) => {
      done.set(frame, level);
      ends.get(frame)!();
    };
    return { scheduler, log, end };
  }

  it('keeps so many under way, in order, coarse levels of all before full ones', () => {
    const { scheduler, log, end } = setUp();
    scheduler.want(['a', 'b', 'c'].flatMap(frame => [{ frame, level: 2 }]).concat(['a', 'b', 'c'].map(frame => ({ frame, level: 0 }))));
    expect(log).toEqual(['a@2', 'b@2']);
    end('a', 2);
    end('b', 2);
    end('c', 2);
    expect(log).toEqual(['a@2', 'b@2', 'c@2', 'a@0', 'b@0']);
  });

  it('stops what is no longer wanted, at once', () => {
    const { scheduler, log } = setUp();
    scheduler.want([{ frame: 'a', level: 0 }, { frame: 'b', level: 0 }]);
    scheduler.want([{ frame: 'z', level: 1 }, { frame: 'b', level: 0 }]);
    expect(log).toEqual(['a@0', 'b@0', 'a stop', 'z@1']);
  });

  it('never has more under way than it may, whatever is wanted', () => {
    const { scheduler } = setUp(3);
    for (let round = 0; round < 200; round++) {
      scheduler.want([...Array(20).keys()].map(n => ({ frame: String((n * 7 + round * 3) % 20), level: n % 3 })));
      expect(scheduler.active.size).toBeLessThanOrEqual(3);
    }
  });
});
