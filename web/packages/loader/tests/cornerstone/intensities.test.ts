import { expect, it } from 'vitest';
import { mayBeReduced } from '../../src/cornerstone/intensities.ts';

it('only intensities are reduced', () => {
  const lut = [{ LUTDescriptor: [256, 0, 8] }];
  expect(mayBeReduced({ PhotometricInterpretation: 'MONOCHROME2' })).toBe(true);
  expect(mayBeReduced({ PhotometricInterpretation: 'RGB', WindowCenter: 40, WindowWidth: 400 })).toBe(true);
  expect(mayBeReduced({ PhotometricInterpretation: 'PALETTE COLOR' })).toBe(false);
  expect(mayBeReduced({ ModalityLUTSequence: lut, WindowCenter: 40, WindowWidth: 400 })).toBe(false);
  expect(mayBeReduced({ VOILUTSequence: lut })).toBe(false);
  expect(mayBeReduced({ VOILUTSequence: lut, WindowCenter: [40], WindowWidth: [400] })).toBe(true);
  expect(mayBeReduced({ VOILUTSequence: [], ModalityLUTSequence: [] })).toBe(true);
  expect(mayBeReduced({ PixelPaddingValue: 0 })).toBe(false);
});

it('labels are not, shares of a segment are', () => {
  const [segmentation, labelMap] = ['1.2.840.10008.5.1.4.1.1.66.4', '1.2.840.10008.5.1.4.1.1.66.7'];
  expect(mayBeReduced({ SOPClassUID: segmentation, SegmentationType: 'BINARY' })).toBe(false);
  expect(mayBeReduced({ SOPClassUID: labelMap, SegmentationType: 'LABELMAP' })).toBe(false);
  expect(mayBeReduced({ SOPClassUID: segmentation, SegmentationType: 'FRACTIONAL' })).toBe(true);
});
