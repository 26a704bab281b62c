import { afterEach, describe, expect, it, vi } from 'vitest';
import { FIT, rectangle, scaleBar, toPicture, toScreen, zoomed } from '../src/view/geometry.ts';
import { length, measured, refusal } from '../src/view/measure.ts';
import { IN_A_ROW, Passing } from '../src/view/passing.ts';
import { pixelsEach } from '../src/paint/layer.ts';
import { decimals, one, words } from './pictures.ts';

describe('where things are', () => {
  const place = { width: 800, height: 600 };
  const picture = one({ '00280030': decimals(0.5, 0.25) });

  it('a picture fits, with pixels that are not square', () => {
    const lies = rectangle(picture, place, FIT);
    expect(lies.height).toBe(600);
    expect(lies.width / lies.height).toBeCloseTo((100 * 0.25) / (200 * 0.5));
  });

  it('points go there and back, and stay under the finger while zooming', () => {
    const view = zoomed(picture, place, FIT, 3, { x: 500, y: 100 });
    const held = toPicture(picture, place, FIT, { x: 500, y: 100 });
    const again = toPicture(picture, place, view, { x: 500, y: 100 });
    expect(again.x).toBeCloseTo(held.x);
    expect(again.y).toBeCloseTo(held.y);
    const back = toScreen(picture, place, view, { x: 30, y: 40 });
    expect(toPicture(picture, place, view, back).x).toBeCloseTo(30);
  });

  it('lengths are those of the full image and say where they are measured', () => {
    expect(length(picture, { x: 0, y: 0 }, { x: 40, y: 0 })).toBe('10.0 mm');
    expect(length(picture, { x: 0, y: 0 }, { x: 0, y: 40 })).toBe('20.0 mm');
    expect(length(one(), { x: 0, y: 0 }, { x: 3, y: 4 })).toBe('5.0 px, not calibrated');
    expect(length(one({ '00080060': words('DX'), '00181164': decimals(1, 1) }), { x: 0, y: 0 }, { x: 3, y: 4 })).toBe('5.0 mm at the detector');
    const bar = scaleBar(picture, place, FIT, 1)!;
    expect(bar.label).toBe('1 cm');
    expect(bar.pixels).toBeCloseTo((10 / 0.25) * (rectangle(picture, place, FIT).width / 100));
  });
});

describe('what is measured', () => {
  const picture = one({ '00080060': words('CT'), '00281052': decimals(-1000), '00280030': decimals(0.5, 0.5), '00280120': decimals(0) });
  const image = (level = 0) => ({ width: 100, height: 200, components: 1, level, samples: new Uint16Array(20000).fill(1040) });
  const ellipse = { kind: 'ellipse' as const, points: [{ x: 20, y: 20 }, { x: 40, y: 60 }] };

  it('are values of the full image only, and a preview says why not', () => {
    expect(measured(picture, ellipse, image(1))).toBeUndefined();
    expect(measured(picture, { kind: 'point', points: [{ x: 5, y: 5 }] }, undefined)).toBeUndefined();
    expect(refusal(image(2))).toContain('preview');
    expect(refusal(undefined)).toContain('No image');
    expect(refusal(image(0))).toBeUndefined();
  });

  it('are the mean and deviation of what is inside, padding left out', () => {
    const full = image();
    full.samples[40 * 100 + 30] = 0;
    expect(measured(picture, ellipse, full)).toBe('mean 40 HU, SD 0 HU, 1.57 cm²');
    for (let y = 0; y < 200; y++) for (let x = 0; x < 100; x += 2) full.samples[y * 100 + x] = 1060;
    expect(measured(picture, ellipse, full)).toContain('mean 50');
    expect(measured(picture, ellipse, full)).toContain('SD 10');
  });

  it('are the value under a point, in its unit', () => {
    expect(measured(picture, { kind: 'point', points: [{ x: 5.9, y: 5 }] }, image())).toBe('40 HU');
    expect(measured(picture, { kind: 'point', points: [{ x: -1, y: 5 }] }, image())).toBe('outside the image');
  });

  it('are lengths on any level, and areas of colours without values', () => {
    const line = { kind: 'line' as const, points: [{ x: 0, y: 0 }, { x: 30, y: 40 }] };
    expect(measured(picture, line, image(3))).toBe('25.0 mm');
    expect(measured(picture, line, undefined)).toBe('25.0 mm');
    expect(measured(picture, ellipse, { ...image(), components: 3 })).toBe('1.57 cm²');
  });
});

describe('pictures that pass', () => {
  afterEach(() => vi.useRealTimers());
  const phone = { width: 1170, height: 1900 };
  const slice = { ...one(), columns: 512, rows: 512 };

  it('have a pixel of the canvas for each texel, and no more', () => {
    expect([0, 1, 2].map(level => pixelsEach(slice, level, phone, FIT))).toEqual([2, 4, 9]);
    // Texels that are large enough to be seen are shown as what they are.
    expect(pixelsEach(slice, 0, phone, { zoom: 3, pan: { x: 0, y: 0 } })).toBe(1);
    expect(pixelsEach(slice, 0, { width: 300, height: 300 }, FIT)).toBe(1);
  });

  it('are coarse from the second step on, become finer only, and rest with every pixel of the device', () => {
    vi.useFakeTimers();
    const rested = vi.fn();
    const passing = new Passing(rested);
    passing.step();
    expect(passing.pixelsEach(4)).toBe(1);
    vi.advanceTimersByTime(100);
    passing.step();
    expect([undefined, 9, undefined, 4, 9].map(texel => passing.pixelsEach(texel))).toEqual([1, 9, 9, 4, 4]);
    // Some in a row that are coarser: the canvas has fewer pixels from then on, as many as the finest of them can fill.
    const coarser = [8, ...Array<number>(IN_A_ROW - 1).fill(9)];
    const seen = [9, 9, 4, ...coarser, 4].map(texel => passing.pixelsEach(texel));
    expect(seen).toEqual([4, 4, 4, ...Array<number>(IN_A_ROW - 1).fill(4), 8, 4]);
    vi.advanceTimersByTime(249);
    expect(rested).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(rested).toHaveBeenCalledOnce();
    expect(passing.pixelsEach(4)).toBe(1);
    // One step alone, as a key makes it, is shown as it is.
    vi.advanceTimersByTime(1000);
    passing.step();
    expect(passing.now).toBe(false);
  });
});
