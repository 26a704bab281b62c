/**
 * The OHIF extension: an object for `window.config.extensions`, which stock OHIF 3.13 registers after its own.
 *
 * - stacks and volumes load by whole resolution levels, by the loader of `@firstlight/loader`;
 * - the first image of a study is asked for when its link is opened;
 * - volume hanging protocols load progressively;
 * - requests to the archive carry `Authorization`;
 * - a preview is marked, and locked against measuring and saving;
 * - images with a VOI LUT Function and with a segmented palette show;
 * - where the processor draws, canvases are made that cost less.
 */
import { canLoad, forgetImages, Frames, install, shapeOf, sizeOf, type LoaderPort, type Loading, type Picture } from '@firstlight/loader/cornerstone';
import { withAuthorization } from './authorization.ts';
import { tellWhatCannotBeShown, type Left } from './cannot-show.ts';
import { FirstAnswers, type FirstDocument } from './first-document.ts';
import { FirstImage, type FirstSource } from './first-image.ts';
import { FullQuality } from './full-quality.ts';
import type { DisplaySet, Host, Services } from './host.ts';
import { PreviewGuard } from './preview-guard.ts';
import { Opened } from './opened.ts';
import { plainCanvases } from './plain-canvases.ts';
import { QualityPanel, type Told } from './quality-panel.ts';
import { progress, shownImage, Silence, sizeShown, trouble } from './status.ts';
import { studyOf, watchList, watchStudies } from './routes.ts';
import { provideSegmentedPalettes } from './segmented-palette.ts';
import { provideVoiLutFunction } from './voi-lut-function.ts';

export interface Extension {
  id: string;
  preRegistration(host: Host): void;
  onModeEnter(host: Host): void;
  onModeExit(): void;
}

export interface ExtensionOptions {
  /** The loading worker, and the decoder's module for it. */
  loader: LoaderPort;
  wasm?: string;
  /** Requests at once: 5 suits HTTP/1.1, which has six connections. */
  requests?: number;
  /** Told of the first image of a study that is opened in the list, before a viewport is there. */
  onFirst?: (document: FirstDocument, picture: Picture) => void;
  /** Asks for that image beside the page, and shows it while the page is busy. It is handed what requests to the archive carry. */
  beside?: (headers: () => Record<string, string>) => FirstSource;
  view?: Window;
}

/** How often the overlay is told of the line, in ms. */
const TOLD_MS = 1000;

/** The extension for the archive at `root`, the absolute URL of its DICOMweb service. */
export function createExtension(root: string, { loader, wasm, requests = 5, onFirst, beside, view = window }: ExtensionOptions): Extension {
  let services: Services | undefined;
  const fetching = withAuthorization(view.fetch.bind(view), root, () => services && authorization(services));
  const frames = new Frames({
    loader,
    wasm,
    requests,
    headers: () => headersOf(services),
    // Who signs in again, here or in another tab, is let in: each new try is as good as a question.
    renew: async () => true,
  });
  const first = new FirstImage(frames, root, beside?.(() => headersOf(services)) ?? sourceHere(fetching));
  first.onFirst = onFirst;
  let loading: Loading | undefined;
  let guard: PreviewGuard | undefined;
  let quality: FullQuality | undefined;
  const opened = new Opened(view);
  let leave: (() => void)[] = [];

  view.firstlight = {
    prefetch: () => loading?.tally.read() ?? { hits: 0, misses: 0, ahead: 0, wasted: 0 },
    forget() {
      first.forget();
      loading?.levels.clear();
      frames.clear();
    },
  };
  watchStudies(view, {
    opened: study => {
      opened.begin();
      void first.open(study);
    },
    openedVolume: study => {
      opened.begin();
      first.openVolume(study);
    },
    left: () => first.end(),
  });
  watchList(view, study => void first.warm(study));

  return {
    id: 'firstlight',

    preRegistration(host) {
      services = host.servicesManager.services;
      view.fetch = fetching;
      plainCanvases(view as Window & typeof globalThis);
      guard = new PreviewGuard(host, view);
      guard.start();
    },

    onModeEnter({ servicesManager }) {
      const cornerstone = view.cornerstone;
      if (!cornerstone) {
        console.warn('firstlight: no Cornerstone3D here; images load whole');
        return;
      }
      loading ??= install(cornerstone, frames, { fetch: fetching, onStack: ours => takeTurns(view, first, ours) });
      loading.configure();
      const silence = new Silence();
      let silent: string | undefined;
      if (guard) {
        guard.more = viewport => progress(viewport, frames, cornerstone);
        guard.trouble = viewport => trouble(viewport, frames, silent);
      }
      const told = setInterval(() => {
        silent = silence.look(frames.line);
        guard?.refresh();
      }, TOLD_MS);
      quality ??= new FullQuality(frames, view);
      const panel = new QualityPanel(view.document, () => figuresOf(view, frames, cornerstone, opened), quality);
      panel.addTo(servicesManager.services);
      const again = () => frames.retry();
      view.addEventListener('online', again);
      restoreProgressiveVolumes(servicesManager.services);
      guard?.watchVolumes();
      leave.push(
        () => clearInterval(told),
        () => panel.close(),
        () => view.removeEventListener('online', again),
        beginWithDisplaySets(view, servicesManager.services, frames, loading, first),
        tellWhatCannotBeShown(servicesManager.services, async () => seriesShown(view, first)),
        provideVoiLutFunction(cornerstone),
        provideSegmentedPalettes(cornerstone)
      );
    },

    onModeExit() {
      for (const undo of leave) undo();
      leave = [];
      frames.clear();
      if (view.cornerstone) forgetImages(view.cornerstone);
    },
  };
}

/** The series of the study that is open. */
async function seriesShown(view: Window, first: FirstImage): Promise<readonly Left[]> {
  const study = studyOf(view.location);
  return study === undefined ? [] : first.series(study);
}

/** Asks in this thread. */
function sourceHere(fetching: typeof fetch): FirstSource {
  const answers = new FirstAnswers();
  return { ask: (root, study) => answers.ask(root, study, fetching), forget: () => answers.forget() };
}

function figuresOf(view: Window, frames: Frames, cornerstone: NonNullable<Window['cornerstone']>, opened: Opened): Told {
  const viewports = (cornerstone.getRenderingEngines() ?? []).flatMap(engine => engine.getViewports());
  const shown = viewports.flatMap(viewport => {
    const imageId = shownImage(viewport);
    return imageId === undefined ? [] : [sizeShown(viewport, imageId, cornerstone) ?? []].flat();
  });
  const { connection } = view.navigator as Navigator & { connection?: { saveData?: boolean } };
  return { image: shown[0] ?? (viewports.length > 0 ? 'a volume' : 'none'), ...frames.line, first: opened.first, savesData: connection?.saveData === true };
}

function headersOf(services: Services | undefined): Record<string, string> {
  const value = services && authorization(services);
  return value ? { Authorization: value } : {};
}

function authorization(services: Services): string | undefined {
  return services.userAuthenticationService?.getAuthorizationHeader()?.Authorization;
}

/**
 * OHIF's volume protocols name an `imageLoadStrategy` that loads every slice whole and clears the retrieve configuration.
 * A protocol whose strategy is not registered loads by the configuration.
 */
function restoreProgressiveVolumes(services: Services): void {
  const protocols = services.hangingProtocolService;
  if (protocols) protocols.registeredImageLoadStrategies = {};
}

/** A viewport asks for its images: the first image is its own matter now, and OHIF's prefetch has nothing to do where this loader looks ahead. */
function takeTurns(view: Window, first: FirstImage, ours: boolean): void {
  first.handOver();
  const prefetch = view.cornerstoneTools?.utilities.stackContextPrefetch;
  if (!prefetch) return;
  const before = prefetch.getConfiguration();
  STOCK_PREFETCH ??= before;
  prefetch.setConfiguration(ours ? { ...before, maxImagesToPrefetch: 0, minBefore: 0, maxAfter: 0, directionExtraImages: 0 } : STOCK_PREFETCH);
}

/** Whether the address asks for the planes of a volume. */
const isVolume = (): boolean => [...new URLSearchParams(location.search).keys()].some(key => key.toLowerCase() === 'hangingprotocolid');

let STOCK_PREFETCH: Record<string, unknown> | undefined;

/** As soon as display sets are known, before a viewport opens one: the first image is asked for, and the levels of each series of many. */
function beginWithDisplaySets(view: Window, services: Services, frames: Frames, loading: Loading, first: FirstImage): () => void {
  const sets = services.displaySetService;
  const cornerstone = view.cornerstone;
  if (!sets || !cornerstone) return () => {};
  const open = ({ displaySetsAdded = [] }: { displaySetsAdded?: DisplaySet[] }) => {
    const images = displaySetsAdded.map(({ instances }) => (instances ?? []).flatMap(({ imageId }) => imageId ?? []).filter(imageId => canLoad(cornerstone, imageId)));
    const [opening] = images.find(each => each.length > 0) ?? [];
    const volume = isVolume();
    const there = view.firstLightBegun;
    if (there) frames.begin(`wadors:${there.url}`, there.begun);
    delete view.firstLightBegun;
    if (opening !== undefined && !volume) first.start(opening, shapeOf(cornerstone, opening), sizeOf(cornerstone, opening));
    for (const each of images) if (each.length > 1) void loading.levels.openFor(each);
  };
  const { unsubscribe } = sets.subscribe(sets.EVENTS.DISPLAY_SETS_ADDED, open);
  return unsubscribe;
}
