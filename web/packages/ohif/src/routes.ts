/** Which study the page is about, as its address tells: OHIF moves within one page. */

type Address = Pick<Location, 'pathname' | 'search'>;

/** OHIF's protocols that begin with planes of a volume. */
const OF_VOLUMES = /^(mpr.*|main3D|fourUp|axialPrimary|primary3D)$/;

/** The study that a viewer's address opens; none for the list, or where several are opened or a protocol of its own decides what is first. */
export function studyOf(location: Address): string | undefined {
  const { study, protocol } = addressed(location);
  return protocol === undefined ? study : undefined;
}

/** The study that a viewer's address opens as planes of a volume. */
export function volumeOf(location: Address): string | undefined {
  const { study, protocol } = addressed(location);
  return protocol !== undefined && OF_VOLUMES.test(protocol) ? study : undefined;
}

function addressed({ pathname, search }: Address): { study?: string | undefined; protocol?: string | undefined } {
  if (!/\/viewer\/?$/.test(pathname.replace(/^\/viewer(?=\/)/, ''))) return {};
  const query = new URLSearchParams(search);
  const uids = (query.get('StudyInstanceUIDs') ?? '').split(',').filter(uid => /^[\d.]+$/.test(uid));
  return { study: uids.length === 1 ? uids[0] : undefined, protocol: [...query].find(([name]) => name.toLowerCase() === 'hangingprotocolid')?.[1] };
}

/**
 * Calls `opened` or `openedVolume` with each study that is opened from now on, and `left` when the page goes elsewhere. What the page began with is not opened again: its
 * first light has asked for that already, and the line is the application's.
 */
export function watchStudies(view: Window, { opened, openedVolume, left }: { opened(study: string): void; openedVolume(study: string): void; left(): void }): void {
  const read = () => ({ study: studyOf(view.location), volume: volumeOf(view.location) });
  let before = read();
  const look = () => {
    const now = read();
    if (now.study === before.study && now.volume === before.volume) return;
    before = now;
    if (now.study !== undefined) opened(now.study);
    else if (now.volume !== undefined) openedVolume(now.volume);
    else left();
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
