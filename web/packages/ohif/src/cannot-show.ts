/** What OHIF leaves empty without a word, said in a sentence: overlays whose images are not there, slides that do not tell their colours. */
import type { DisplaySet, Services } from './host.ts';

/** SEG and RTSTRUCT are drawn over the images of a series; without it there is nothing to draw them on. */
const OVERLAYS: Record<string, string> = { SEG: 'segmentation', RTSTRUCT: 'structure set', RTDOSE: 'dose', PMAP: 'parametric map' };
/** Display sets of a study come one after the other: one that is missing now may come yet. */
const PATIENCE_MS = 3000;
/** So long after the last one nothing is on its way any more, whatever the line. */
const QUIET_MS = 8000;
/** What this module knows of a display set, of a series of which OHIF made none. */
export type Left = Pick<DisplaySet, 'Modality' | 'SeriesInstanceUID' | 'SeriesDescription'>;

/** Why this display set cannot be shown beside `all` that there are; nothing if it can. */
export function whyNot(set: DisplaySet, all: readonly DisplaySet[]): string | undefined {
  const name = set.SeriesDescription ? ` “${set.SeriesDescription}”` : '';
  const overlay = OVERLAYS[set.Modality ?? ''];
  if (overlay) {
    const series = set.referencedSeriesInstanceUID ?? undefined;
    if (series !== undefined && all.some(each => each !== set && each.SeriesInstanceUID === series)) return undefined;
    if (series !== undefined) return `The ${overlay}${name} cannot be shown: the series that it belongs to (${series}) is not in this study here.`;
    return set.Modality === 'SEG' || set.Modality === 'RTSTRUCT' ? `The ${overlay}${name} cannot be shown: it does not tell which series it belongs to.` : undefined;
  }
  const [instance] = set.instances ?? [];
  if (set.Modality === 'SM' && instance && !instance.OpticalPathSequence) {
    return `The slide${name} cannot be shown: it does not tell its optical path (0048,0105), without which its colours have no meaning.`;
  }
  return undefined;
}

/** Overlays of which OHIF made no display set: it looks for the series that they lie on, and drops what tells none. */
export const leftOut = (series: readonly Left[], all: readonly DisplaySet[]): Left[] => series.filter(each => (each.Modality ?? '') in OVERLAYS && !all.some(set => set.SeriesInstanceUID === each.SeriesInstanceUID));

/** Says it, once for each display set; `series` gives those of the study, as the archive has them. */
export function tellWhatCannotBeShown({ displaySetService: sets, uiNotificationService: notes }: Services, series: () => Promise<readonly Left[]>): () => void {
  if (!sets || !notes) return () => {};
  const known: DisplaySet[] = [];
  const told = new Set<string | undefined>();
  let timers: ReturnType<typeof setTimeout>[] = [];
  const stop = () => timers.forEach(clearTimeout);
  const tell = (of: readonly DisplaySet[]) => {
    for (const set of of) {
      const why = told.has(set.SeriesInstanceUID) ? undefined : whyNot(set, known);
      if (why === undefined) continue;
      told.add(set.SeriesInstanceUID);
      notes.show({ title: 'Not shown', message: why, type: 'warning', duration: 20_000, id: `firstlight-${set.SeriesInstanceUID}` });
    }
  };
  const wait = () => {
    stop();
    timers = [setTimeout(() => tell(known), PATIENCE_MS), setTimeout(() => void series().then(all => tell(leftOut(all, known))), QUIET_MS)];
  };
  wait();
  const { unsubscribe } = sets.subscribe(sets.EVENTS.DISPLAY_SETS_ADDED, ({ displaySetsAdded = [] }) => {
    known.push(...displaySetsAdded);
    wait();
  });
  return () => {
    stop();
    unsubscribe();
  };
}
