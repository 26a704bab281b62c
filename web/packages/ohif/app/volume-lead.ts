/**
 * The slices of a volume that a link opens, known to the loading worker before OHIF's page is free to say what it wants: a useful level of each, in the
 * order in which the volume asks for them. The line works while OHIF sets up its panes, which takes it a second and more.
 */
import { coarsest, sideAt, usefulLevel, volumeOrder, type FrameLevels } from '@firstlight/loader';
import { parseLevels } from '../../loader/src/cornerstone/series-levels.ts';
import type { Job } from '../../loader/src/loading/messages.ts';
import { firstFrame, type FirstDocument } from '../src/first-document.ts';
import type { Study } from './first-messages.ts';

/** Fewer are no volume. */
const FEWEST = 3;
/** Bytes of samples that may wait for the page. */
const MOST = 64 << 20;
/** As a volume's panes have it: a coarser level is of no use. */
const COARSEST = 2;

/** The slices of the study's first series, if they come by levels; `side` device pixels has the shorter side of a pane. */
export async function slicesAhead({ root, study, headers }: Study, document: FirstDocument, side: number, fetching: typeof fetch): Promise<Job[]> {
  const first = firstFrame(root, study, document);
  if (!first?.levels || !document.first) return [];
  const { width, height } = first.levels;
  const series = `${root}/studies/${study}/series/${document.first.series}`;
  const answer = await fetching(`${series}/levels`, { headers: { ...headers, Accept: 'application/json' } });
  if (!answer.ok) return [];
  const slices = [...parseLevels(await answer.json())].flatMap(([instance, frames]) => {
    const [frame] = frames;
    return frame && frames.length === 1 && frame.ends.length === first.levels!.ends.length ? [{ url: `${series}/instances/${instance}/frames/1`, levels: { width, height, ends: frame.ends } }] : [];
  });
  if (slices.length < FEWEST || coarsest(first.levels) < 1) return [];
  // The full image is the page's to make: only it knows the rescale of each slice.
  const level = Math.max(1, Math.min(COARSEST, useful(first.levels, side)));
  const most = Math.floor(MOST / (4 * sideAt(width, level) * sideAt(height, level)));
  const order = volumeOrder(slices.length, slices.length / 2, level).slice(0, slices.length);
  return order.slice(0, most).map(({ slice }) => ({ ...slices[slice]!, frame: `wadors:${slices[slice]!.url}`, level, worth: [], shape: first.shape }));
}

function useful(levels: FrameLevels, side: number): number {
  const scale = side / Math.max(levels.width, levels.height);
  return usefulLevel(levels, { width: levels.width * scale, height: levels.height * scale });
}
