/**
 * The OHIF extension: an object for `window.config.extensions`, which stock OHIF 3.13 registers after its own.
 *
 * - stacks and volumes load by whole resolution levels, cut where the server says they end;
 * - volume hanging protocols load progressively again;
 * - byte ranges carry `Authorization`, and what is not the range asked for fails;
 * - a preview is marked, and locked against measuring and saving;
 * - images with a VOI LUT Function show.
 */
import { withAuthorization } from '../cornerstone/authorization.ts';
import { LevelsStore } from '../cornerstone/levels.ts';
import { withCheckedRanges } from '../cornerstone/ranges.ts';
import { stackConfiguration, volumeConfiguration, type ProgressiveLoading } from '../cornerstone/retrieve.ts';
import type { Cornerstone, DisplaySet, Host, Services } from './host.ts';
import { PreviewGuard } from './preview-guard.ts';
import { provideVoiLutFunction } from './voi-lut-function.ts';

export interface Extension {
  id: string;
  preRegistration(host: Host): void;
  onModeEnter(host: Host): void;
  onModeExit(): void;
}

/** The extension for the archive at `root`, the absolute URL of its DICOMweb service. */
export function createExtension(root: string, view: Window = window): Extension {
  const levels = new LevelsStore(url => view.fetch(url, { headers: { Accept: 'application/json' } }));
  let guard: PreviewGuard | undefined;
  let leave: (() => void)[] = [];

  return {
    id: 'firstlight',

    preRegistration(host) {
      const checked = withCheckedRanges(view.fetch.bind(view), root);
      view.fetch = withAuthorization(checked, root, () => authorization(host.servicesManager.services));
      guard = new PreviewGuard(host, view);
      guard.start();
    },

    onModeEnter({ servicesManager: { services } }) {
      const cornerstone = view.cornerstone;
      if (!cornerstone) {
        console.warn('firstlight: no Cornerstone3D here; images load whole');
        return;
      }
      const loading = progressiveLoading(cornerstone);
      const { imageRetrieveMetadataProvider } = cornerstone.utilities;
      imageRetrieveMetadataProvider.add('stack', stackConfiguration(levels, loading));
      imageRetrieveMetadataProvider.add('volume', volumeConfiguration(levels, loading));
      restoreProgressiveVolumes(services);
      guard?.watchVolumes();
      leave.push(prefetchLevels(services, root, levels), provideVoiLutFunction(cornerstone));
    },

    onModeExit() {
      for (const undo of leave) undo();
      leave = [];
    },
  };
}

function authorization(services: Services): string | undefined {
  return services.userAuthenticationService?.getAuthorizationHeader()?.Authorization;
}

function progressiveLoading(cornerstone: Cornerstone): ProgressiveLoading {
  const { createProgressive, interleavedRetrieveStages } = cornerstone.ProgressiveRetrieveImages;
  return {
    create: configuration => createProgressive(configuration),
    load: (imageId, options) => cornerstone.imageLoader.loadAndCacheImage(imageId, options),
    interleavedStages: interleavedRetrieveStages.stages,
    canReduce: imageId =>
      cornerstone.metaData.get('imagePixelModule', imageId)?.photometricInterpretation !== 'PALETTE COLOR',
  };
}

/**
 * OHIF's volume protocols name an `imageLoadStrategy` that loads every slice whole and clears the retrieve configuration.
 * A protocol whose strategy is not registered loads by the configuration.
 */
function restoreProgressiveVolumes(services: Services): void {
  const protocols = services.hangingProtocolService;
  if (protocols) protocols.registeredImageLoadStrategies = {};
}

/** Asks for the levels of each series as soon as its display set is known, before a viewport opens it. */
function prefetchLevels(services: Services, root: string, levels: LevelsStore): () => void {
  const sets = services.displaySetService;
  if (!sets) return () => {};
  const open = ({ displaySetsAdded }: { displaySetsAdded?: DisplaySet[] }) => {
    for (const { StudyInstanceUID: study, SeriesInstanceUID: series, instances } of displaySetsAdded ?? []) {
      if (study && series && instances?.length) void levels.open({ root, study, series });
    }
  };
  const { unsubscribe } = sets.subscribe(sets.EVENTS.DISPLAY_SETS_ADDED, open);
  return unsubscribe;
}
