/**
 * Whether a reduced image of an image means anything.
 *
 * A resolution level holds weighted sums of neighbours. Indices into a palette, labels, padding and what a table is yet to put in
 * order have none: such an image comes whole. The server holds to the same rule for thumbnails and rendered images.
 */

/** What is looked at of an instance, by the keywords of PS3.6. */
export interface InstanceAttributes {
  SOPClassUID?: unknown;
  SegmentationType?: unknown;
  PhotometricInterpretation?: unknown;
  ModalityLUTSequence?: unknown;
  VOILUTSequence?: unknown;
  WindowCenter?: unknown;
  WindowWidth?: unknown;
  PixelPaddingValue?: unknown;
}

/** Segmentation and Label Map Segmentation Storage. */
const SEGMENTATIONS = ['1.2.840.10008.5.1.4.1.1.66.4', '1.2.840.10008.5.1.4.1.1.66.7'];

export function mayBeReduced(instance: InstanceAttributes): boolean {
  const palette = instance.PhotometricInterpretation === 'PALETTE COLOR';
  const labels = SEGMENTATIONS.includes(String(instance.SOPClassUID)) && instance.SegmentationType !== 'FRACTIONAL';
  const window = present(instance.WindowCenter) && present(instance.WindowWidth);
  const table = present(instance.ModalityLUTSequence) || (present(instance.VOILUTSequence) && !window);
  return !(palette || labels || table || present(instance.PixelPaddingValue));
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
}
