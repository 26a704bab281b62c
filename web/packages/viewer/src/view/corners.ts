/** The words that stand on an image: who, which, how good. */
import { date, personName, text, type DataSet } from '../dicom/dataset.ts';
import type { Picture } from '../dicom/picture.ts';
import type { Tone } from '../paint/tone.ts';

export interface Corners {
  patient: string;
  series: string;
  index: string;
  window: string;
}

export const NOTHING: Corners = { patient: '', series: '', index: '', window: '' };

const lines = (...words: (string | false | undefined)[]) => words.filter(Boolean).join('\n');

export function corners(set: DataSet | undefined, picture: Picture, place: { at: number; count: string }, tone: Tone | undefined): Corners {
  const windowed = tone && picture.samples === 1 && !picture.palette;
  return {
    patient: lines(personName(text(set, '00100010')) || 'No name', text(set, '00100020'), date(text(set, '00080020'))),
    series: lines(text(set, '0008103E') || text(set, '00080060'), picture.laterality && `Laterality ${picture.laterality}`, picture.lossy && `Lossy${picture.lossy === '?' ? ', ratio not told' : `, ratio ${picture.lossy}`}`),
    index: `${place.at + 1} / ${place.count}`,
    window: !windowed ? '' : tone.lut ? 'Greys by the image’s table' : `W ${round(tone.width)} C ${round(tone.centre)}${picture.unit ? ` ${picture.unit}` : ''}`,
  };
}

export const round = (value: number): string => (Math.abs(value) >= 10 ? value.toFixed(0) : value.toPrecision(3));

/** How good the picture is that stands there. */
export function quality(trouble: string, image: { level: number } | undefined): string {
  if (trouble) return trouble;
  if (!image) return 'Loading…';
  return image.level > 0 ? `Preview, 1/${2 ** image.level} of the resolution` : '';
}
