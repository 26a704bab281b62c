/** Which study the page is about, as its address tells: OHIF moves within one page. */

/** The study that a viewer's address opens; none for the list, or where several are opened or a protocol of its own decides what is first. */
export function studyOf(location: Pick<Location, 'pathname' | 'search'>): string | undefined {
  if (!/\/viewer\/?$/.test(location.pathname.replace(/^\/viewer(?=\/)/, ''))) return undefined;
  const query = new URLSearchParams(location.search);
  const uids = (query.get('StudyInstanceUIDs') ?? '').split(',').filter(uid => /^[\d.]+$/.test(uid));
  return uids.length === 1 && !query.has('hangingprotocolId') ? uids[0] : undefined;
}

/**
 * Calls `opened` with each study that is opened from now on, and `left` when the page goes elsewhere. What the page began with is not opened again: its
 * first light has asked for that already, and the line is the application's.
 */
export function watchStudies(view: Window, opened: (study: string) => void, left: () => void): void {
  let before = studyOf(view.location);
  const look = () => {
    const study = studyOf(view.location);
    if (study === before) return;
    before = study;
    study === undefined ? left() : opened(study);
  };
  const { navigation } = view as Window & { navigation?: EventTarget };
  navigation?.addEventListener('currententrychange', look);
  view.addEventListener('popstate', look);
}

const ROW = '[data-cy^="studyRow-"]';
/** A row that the pointer only crosses is none that the user looks at. */
const LOOKED_AT_MS = 80;

/** Calls `chosen` with the study of a row of the list over which the pointer rests, or which has the focus. */
export function watchList(view: Window, chosen: (study: string) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = (event: Event) => {
    const row = (event.target as Element | null)?.closest?.(ROW);
    clearTimeout(timer);
    const study = row?.getAttribute('data-cy')?.slice('studyRow-'.length);
    if (study && /^[\d.]+$/.test(study)) timer = setTimeout(() => chosen(study), LOOKED_AT_MS);
  };
  view.document.addEventListener('pointerover', over, { passive: true });
  view.document.addEventListener('focusin', over);
  view.document.addEventListener('pointerdown', event => {
    const row = (event.target as Element | null)?.closest?.(ROW);
    const study = row?.getAttribute('data-cy')?.slice('studyRow-'.length);
    if (study && /^[\d.]+$/.test(study)) chosen(study);
  });
}
