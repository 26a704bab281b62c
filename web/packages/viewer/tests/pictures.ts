/** Pictures for tests, from as little metadata as will do. */
import type { DataSet } from '../src/dicom/dataset.ts';
import { picturesOf, type Picture } from '../src/dicom/picture.ts';

export const image = (more: DataSet = {}): DataSet => ({
  '0020000D': { vr: 'UI', Value: ['1.2'] },
  '0020000E': { vr: 'UI', Value: ['1.2.3'] },
  '00080018': { vr: 'UI', Value: ['1.2.3.4'] },
  '00280010': { vr: 'US', Value: [200] },
  '00280011': { vr: 'US', Value: [100] },
  '00280002': { vr: 'US', Value: [1] },
  '00280004': { vr: 'CS', Value: ['MONOCHROME2'] },
  '00280100': { vr: 'US', Value: [16] },
  '00280101': { vr: 'US', Value: [12] },
  '00280103': { vr: 'US', Value: [0] },
  '7FE00010': { vr: 'OW', BulkDataURI: 'x' },
  ...more,
});
export const one = (more: DataSet = {}): Picture => picturesOf(image(more))[0]!;
export const decimals = (...Value: number[]) => ({ vr: 'DS', Value });
export const words = (...Value: string[]) => ({ vr: 'CS', Value });
