/** From the document of a study's first picture to the one request that shows it on this screen. */
import { usefulLevel, type FrameLevels, type Shown } from '@firstlight/loader';
import { personName, picturesOf, text, type DataSet, type Picture } from './viewer.ts';

/** The answer of `/dicom-web/studies/{study}/first`. */
export interface First {
  study: DataSet;
  series: DataSet[];
  first: null | {
    series: string;
    instance: string;
    frame: number;
    metadata: DataSet;
    levels: { transferSyntax: string; frames: { length: number; ends: number[] }[] };
  };
}

/** What is asked for: the bytes of a level for our decoder, or a picture that the server makes. */
export type Plan =
  | { kind: 'level'; url: string; picture: Picture; levels: FrameLevels; level: number; words: string }
  | { kind: 'rendered'; url: string; picture: Picture; words: string };

const HTJ2K = /^1\.2\.840\.10008\.1\.2\.4\.20[123]$/;
/** MPEG-2, MPEG-4 and HEVC: the server renders no single frame of them. */
const VIDEO = /^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/;
/** A frame of a whole slide is one of thousands of tiles. */
const SLIDE = '1.2.840.10008.5.1.4.1.1.77.1.6';
/** What our decoder gives as red, green and blue. */
const COLOURS = new Set(['RGB', 'YBR_RCT', 'YBR_ICT']);

/** What to fetch of `first` below `root`, for a screen that leaves `room` device pixels to it; `undefined` where nothing can be shown. */
export function plan({ study, first }: First, root: string, room: Shown): Plan | undefined {
  if (!first || VIDEO.test(first.levels.transferSyntax) || text(first.metadata, '00080016') === SLIDE) return undefined;
  const picture = picturesOf(first.metadata)[first.frame - 1];
  if (!picture) return undefined;
  const url = `${root}/studies/${picture.study}/series/${first.series}/instances/${first.instance}/frames/${first.frame}`;
  const words = [personName(text(study, '00100010')), text(study, '00100020'), picture.laterality && `Laterality ${picture.laterality}`].filter(Boolean).join(' · ');
  const { columns: width, rows: height } = picture;
  const by = Math.min(1, room.width / width, room.height / height);
  const shown = { width: Math.max(1, Math.round(width * by)), height: Math.max(1, Math.round(height * by)) };
  const ends = first.levels.frames[0]?.ends ?? [];
  if (!HTJ2K.test(first.levels.transferSyntax) || ends.length === 0 || !isOurs(picture)) {
    return { kind: 'rendered', url: `${url}/rendered?viewport=${shown.width},${shown.height}`, picture, words };
  }
  const levels = { width, height, ends };
  return { kind: 'level', url, picture, levels, level: usefulLevel(levels, shown), words };
}

/** Whether a reduced image of it is right, and we know its colours. */
function isOurs({ wholeOnly, samples, photometric, bitsAllocated }: Picture): boolean {
  if (wholeOnly !== undefined || bitsAllocated > 16) return false;
  return samples === 1 ? photometric.startsWith('MONOCHROME') : COLOURS.has(photometric);
}
