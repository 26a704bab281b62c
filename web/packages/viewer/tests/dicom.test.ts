import { describe, expect, it } from 'vitest';
import { date, personName, type DataSet } from '../src/dicom/dataset.ts';
import { picturesOf } from '../src/dicom/picture.ts';
import { counterpart, edgeLetters, sorted } from '../src/dicom/planes.ts';
import { regionsOf, scaleAt } from '../src/dicom/spacing.ts';
import { decimals, image, one, words } from './pictures.ts';

describe('what is known of a picture', () => {
  it('is one picture a frame, with the groups of its frame', () => {
    const group = (centre: number) => ({ '00289132': { vr: 'SQ', Value: [{ '00281050': decimals(centre), '00281051': decimals(100) }] } });
    const pictures = picturesOf(image({ '00280008': { vr: 'IS', Value: [2] }, '52009229': { vr: 'SQ', Value: [{ '00289110': { vr: 'SQ', Value: [{ '00280030': decimals(0.7, 0.7) }] } }] }, '52009230': { vr: 'SQ', Value: [group(10), group(20)] } }));
    expect(pictures.map(({ frame, windows }) => [frame, windows[0]!.centre])).toEqual([[1, 10], [2, 20]]);
    expect(pictures[1]!.spacing).toEqual({ row: 0.7, column: 0.7, kind: 'patient' });
    expect(picturesOf({})).toEqual([]);
  });

  it('knows where millimetres come from', () => {
    const spacing = (modality: string, more: DataSet) => one({ '00080060': words(modality), ...more }).spacing;
    expect(spacing('CT', { '00280030': decimals(0.5, 0.4) })).toEqual({ row: 0.5, column: 0.4, kind: 'patient' });
    expect(spacing('DX', { '00181164': decimals(0.2, 0.2) })!.kind).toBe('detector');
    expect(spacing('DX', { '00181164': decimals(0.2, 0.2), '00181114': decimals(2) })).toEqual({ row: 0.1, column: 0.1, kind: 'calibrated' });
    expect(spacing('DX', { '00181164': decimals(0.2, 0.2), '00280030': decimals(0.2, 0.2) })!.kind).toBe('detector');
    expect(spacing('DX', { '00181164': decimals(0.2, 0.2), '00280030': decimals(0.15, 0.15) })).toEqual({ row: 0.15, column: 0.15, kind: 'calibrated' });
    expect(spacing('CT', { '00280030': decimals(0, 0) })).toBeUndefined();
  });

  it('does not show a reduced image of what is no intensity', () => {
    expect(one().wholeOnly).toBeUndefined();
    for (const more of [{ '00280004': words('PALETTE COLOR') }, { '00283010': { vr: 'SQ', Value: [{}] } }, { '00283000': { vr: 'SQ', Value: [{}] } }, { '00280120': decimals(0) }, { '00080060': words('SEG') }]) {
      expect(one(more).wholeOnly).toBeTruthy();
    }
  });

  it('puts slices in the order of the patient, and letters at the edges', () => {
    const slices = [3, 1, 2].map(z => one({ '00200032': decimals(0, 0, z), '00200037': decimals(1, 0, 0, 0, 1, 0), '00200013': { vr: 'IS', Value: [9 - z] } }));
    expect(sorted(slices).map(({ position }) => position![2])).toEqual([1, 2, 3]);
    expect(edgeLetters(slices[0]!)).toEqual({ left: 'R', right: 'L', top: 'A', bottom: 'P' });
    expect(edgeLetters(one({ '00200037': decimals(0, 1, 0, 0, 0, -1) }))).toEqual({ left: 'A', right: 'P', top: 'H', bottom: 'F' });
    expect(edgeLetters(one({ '00200020': words('L', 'F') }))).toEqual({ left: 'R', right: 'L', top: 'H', bottom: 'F' });
    expect(edgeLetters(one())).toBeUndefined();
  });

  it('bounds the number of frames', () => expect(picturesOf(image({ '00280008': { vr: 'IS', Value: [4e9] } })).length).toBe(100_000));

  it('writes names as people do', () => expect(personName('Doe^Jane^M^Dr')).toBe('Doe, Jane M'));

  it('writes dates as they sort', () => expect([date('20260131'), date('2026.01.31'), date('x')]).toEqual(['2026-01-31', '2026-01-31', 'x']));
});

describe('regions of ultrasound', () => {
  const region = (bounds: number[], unit: number, delta: number): DataSet =>
    Object.fromEntries([...['00186018', '0018601A', '0018601C', '0018601E'].map((tag, n) => [tag, { vr: 'UL', Value: [bounds[n]] }]), ...['00186024', '00186026'].map(tag => [tag, { vr: 'US', Value: [unit] }]), ...['0018602C', '0018602E'].map(tag => [tag, { vr: 'FD', Value: [delta] }])]) as DataSet;
  const picture = one({ '00280030': decimals(9, 9), '00186011': { vr: 'SQ', Value: [region([0, 0, 99, 99], 3, 0.02), region([100, 0, 199, 99], 4, 0.02)] } });

  it('have scales of their own, in centimetres or none', () => {
    expect(regionsOf({})).toEqual([]);
    expect(scaleAt(picture, [{ x: 10, y: 10 }, { x: 90, y: 90 }])).toEqual({ row: 0.2, column: 0.2, kind: 'patient' });
    expect(scaleAt(picture, [{ x: 110, y: 10 }, { x: 120, y: 10 }])).toBeUndefined();
  });

  it('have none that holds across two of them, or outside', () => {
    expect(scaleAt(picture, [{ x: 10, y: 10 }, { x: 110, y: 10 }])).toBeUndefined();
    expect(scaleAt(picture, [{ x: 10, y: 150 }])).toBeUndefined();
  });
});

describe('two stacks that scroll together', () => {
  const stack = (count: number, step: number, frame: string, turn = 1) =>
    sorted(Array.from({ length: count }, (_, n) => one({ '00200052': words(frame), '00200032': decimals(0, 0, n * step), '00200037': decimals(1, 0, 0, 0, turn, 0), '00200013': { vr: 'IS', Value: [n] } })));

  it('go by position in one frame of reference', () => {
    const [fine, coarse] = [stack(30, 1, 'A'), stack(10, 3, 'A')];
    expect(counterpart(fine[12]!, 1, coarse, 0)).toBe(4);
    expect(counterpart(coarse[9]!, -1, fine, 3)).toBe(27);
  });

  it('go by as many steps else, to the ends and no further', () => {
    expect(counterpart(stack(30, 1, 'A')[12]!, 2, stack(10, 3, 'B'), 5)).toBe(7);
    expect(counterpart(stack(30, 1, '')[12]!, 2, stack(10, 3, ''), 9)).toBe(9);
    expect(counterpart(one(), -3, stack(10, 3, 'B'), 1)).toBe(0);
  });
});
