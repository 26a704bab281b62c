import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadCodec, simdIsThere } from '../src/index.ts';
import Factory from '../src/openjph.ts';

const data = (name: string) => new Uint8Array(readFileSync(new URL(`./data/${name}`, import.meta.url)));
const modules = (process.env.WASM_DIR ?? fileURLToPath(new URL('../../../../.cache/wasm', import.meta.url))) + '/';
const built = existsSync(`${modules}htj2k.wasm`) && existsSync(`${modules}htj2k-scalar.wasm`);
if (!built) console.warn(`SKIPPED: no modules in ${modules} (make wasm)`);

const formula = (x: number, y: number) => ((x * x + 3 * y * y + 7 * x * y) % 3001) - 1500;

it('knows whether SIMD is there', () => expect(simdIsThere()).toBe(true));

describe.skipIf(!built).each(['htj2k.wasm', 'htj2k-scalar.wasm'])('%s', name => {
  const load = () => loadCodec({ wasm: readFileSync(modules + name) });

  it('decodes every sample', async () => {
    const image = (await load()).decode(data('formula.j2c'));
    expect(image).toMatchObject({ width: 90, height: 70, components: 1, precision: 12, signed: true, level: 0, complete: true });
    expect(image.samples).toBeInstanceOf(Int16Array);
    for (let y = 0; y < 70; y++) for (let x = 0; x < 90; x++) expect(image.samples[y * 90 + x]).toBe(formula(x, y));
  });

  it('decodes colour, interleaved', async () => {
    const image = (await load()).decode(data('rgb.j2c'));
    expect(image.components).toBe(3);
    for (let y = 0; y < 50; y++)
      for (let x = 0; x < 61; x++) expect([...image.samples.slice((y * 61 + x) * 3, (y * 61 + x) * 3 + 3)]).toEqual([(x * 3) % 256, (y * 5) % 256, (x + y) % 256]);
  });

  it('gives the same levels however the bytes are cut', async () => {
    const codec = await load();
    const bytes = data('formula.j2c');
    const whole = [0, 1, 2, 3, 4, 5].map(level => codec.decode(bytes, level));
    for (const step of [1, 7, 100, 1000, bytes.length]) {
      const frame = codec.open(bytes.length);
      const levels: number[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        frame.push(bytes.subarray(at, at + step));
        const level = frame.level();
        if (level === undefined || level === levels.at(-1)) continue;
        levels.push(level);
        const image = frame.decode(level);
        expect(image.complete).toBe(true);
        expect(image.samples).toEqual(whole[level]!.samples);
      }
      expect(levels.at(-1)).toBe(0);
      expect([...levels].sort((a, b) => b - a)).toEqual(levels);
      frame.close();
    }
  });

  it('decodes rectangles as parts of the whole', async () => {
    const codec = await load();
    const bytes = data('formula.j2c');
    const frame = codec.open(bytes.length);
    frame.push(bytes);
    for (const level of [0, 1]) {
      const whole = codec.decode(bytes, level);
      const region = { x: 5, y: 9, width: 20, height: 11 };
      const part = frame.decodeRegion(region, { level });
      expect([part.width, part.height]).toEqual([20, 11]);
      const samples = part.samples.slice();
      for (let y = 0; y < 11; y++) for (let x = 0; x < 20; x++) expect(samples[y * 20 + x]).toBe(whole.samples[(y + 9) * whole.width + x + 5]);
    }
    expect(() => frame.decodeRegion({ x: 80, y: 0, width: 20, height: 5 })).toThrow();
  });

  it.each(['formula.j2c', 'rgb.j2c'])('decodes rows of %s from the beginning and the ranges that it tells', async file => {
    const codec = await load();
    const bytes = data(file);
    const whole = codec.decode(bytes);
    const region = { x: 0, y: 20, width: whole.width, height: 2 };
    const frame = codec.open(bytes.length);
    frame.push(bytes.subarray(0, 300));
    expect(frame.decodeRegion(region).complete).toBe(false);
    let headers = 0;
    for (;;) {
      const wanted = frame.ranges(region);
      if (!wanted) throw new Error('not told');
      const ranges = wanted.first ? [wanted.first] : wanted.ranges;
      if (wanted.first) headers++;
      if (ranges.length === 0) break;
      for (const [start, end] of ranges) frame.put(start, bytes.subarray(start, end));
    }
    expect(headers).toBeGreaterThan(0);
    const rows = frame.decodeRegion(region);
    expect(rows.complete).toBe(true);
    const row = whole.width * whole.components;
    expect(rows.samples).toEqual(whole.samples.slice(20 * row, 22 * row));
    // What comes in order afterwards goes where it belongs.
    frame.push(bytes.subarray(300));
    expect([frame.have, frame.level()]).toEqual([bytes.length, 0]);
    expect(frame.decode(0).samples).toEqual(whole.samples);
    expect(() => frame.put(bytes.length, new Uint8Array(1))).toThrow(RangeError);
    expect(() => frame.ranges({ ...region, y: 10_000 })).toThrow();
  });

  it('tells the header from the first bytes, and what is wrong with others', async () => {
    const codec = await load();
    const frame = codec.open(5000);
    frame.push(data('formula.j2c').subarray(0, 200));
    expect(frame.header()).toEqual({ width: 90, height: 70, components: 1, precision: 12, signed: true });
    frame.close();
    expect(() => frame.level()).toThrow('closed');
    expect(() => codec.decode(new Uint8Array(100))).toThrow();
    expect(codec.decode(data('formula.j2c').subarray(0, 400), 0).complete).toBe(false);
  });

  it('holds its memory: a thousand frames take no more than the first', async () => {
    const codec = await load();
    const bytes = data('formula.j2c');
    codec.decode(bytes);
    const held = codec.heldBytes;
    for (let n = 0; n < 1000; n++) codec.decode(bytes);
    expect(codec.heldBytes).toBe(held);
  });

  it('refuses what takes more memory than allowed', async () => {
    const codec = await loadCodec({ wasm: readFileSync(modules + name), maxMemory: 1000 });
    expect(() => codec.decode(data('formula.j2c'))).toThrow(/memory/);
  });

  it('has the shape of codec-openjph', async () => {
    const { HTJ2KDecoder } = await Factory({ wasm: readFileSync(modules + name) });
    const bytes = data('formula.j2c');
    const decoder = new HTJ2KDecoder();
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.readHeader();
    expect(decoder.getFrameInfo()).toEqual({ width: 90, height: 70, bitsPerSample: 12, componentCount: 1, isSigned: true });
    expect(decoder.calculateSizeAtDecompositionLevel(3)).toEqual({ width: 12, height: 9 });
    decoder.decode();
    const pixels = decoder.getDecodedBuffer();
    expect(new DataView(pixels.buffer, pixels.byteOffset).getInt16(2 * (90 * 3 + 4), true)).toBe(formula(4, 3));
    decoder.decodeSubResolution(1);
    expect(decoder.getFrameInfo()).toMatchObject({ width: 45, height: 35 });
    decoder.delete();
  });
});
