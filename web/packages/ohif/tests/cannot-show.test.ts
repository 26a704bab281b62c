import { expect, it } from 'vitest';
import { leftOut, whyNot } from '../src/cannot-show.ts';

const ct = { Modality: 'CT', SeriesInstanceUID: '1.2', instances: [{ imageId: 'wadors:a' }] };

it('says why a segmentation without its series is not there, and nothing where it is', () => {
  const seg = { Modality: 'SEG', SeriesInstanceUID: '1.3', SeriesDescription: 'Liver', referencedSeriesInstanceUID: '1.2' };
  expect(whyNot(seg, [seg])).toContain('The segmentation “Liver” cannot be shown: the series that it belongs to (1.2)');
  expect(whyNot(seg, [ct, seg])).toBeUndefined();
  expect(whyNot({ ...seg, referencedSeriesInstanceUID: null }, [ct])).toContain('does not tell which series');
  expect(whyNot({ ...seg, Modality: 'RTSTRUCT' }, [])).toContain('structure set');
});

it('says why a slide without optical path is not there', () => {
  const slide = { Modality: 'SM', SeriesInstanceUID: '1.4', instances: [{ imageId: 'wadors:b' }] };
  expect(whyNot(slide, [slide])).toContain('(0048,0105)');
  expect(whyNot({ ...slide, instances: [{ OpticalPathSequence: [{}] }] }, [])).toBeUndefined();
});

it('says it of an overlay of which OHIF made nothing', () => {
  const [contours, report] = [{ Modality: 'RTSTRUCT', SeriesInstanceUID: '1.5', SeriesDescription: 'Head' }, { Modality: 'SR', SeriesInstanceUID: '1.6' }];
  expect(leftOut([ct, contours, report], [ct])).toEqual([contours]);
  expect(whyNot(contours, [ct])).toContain('The structure set “Head” cannot be shown: it does not tell which series');
  expect(leftOut([contours], [contours])).toEqual([]);
});

it('says nothing of what is shown', () => {
  expect(whyNot(ct, [ct])).toBeUndefined();
  expect(whyNot({ Modality: 'SR', instances: [] }, [])).toBeUndefined();
});
