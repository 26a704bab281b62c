/** `window.config` for stock OHIF 3.13, hosted at /viewer beside the archive's DICOMweb service. */
import { createExtension } from '../src/extension.ts';
import type { First } from '../first-light/plan.ts';
import { FirstHere } from './first-here.ts';
import { FirstPicture } from './first-picture.ts';
import { loadingWorker } from './loading-worker.ts';

const root = `${window.location.origin}/dicom-web`;

/** HTTP/1.1 gives a host six connections: what is queued behind them cannot be overtaken by what the user asks for next. */
const [page] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
const multiplexed = /^h[23]/.test(page?.nextHopProtocol ?? '');

const { worker, ...loading } = loadingWorker(`${window.location.origin}/viewer/`);
const here = FirstPicture.possible ? undefined : new FirstHere(window);
const extension = createExtension(root, {
  ...loading,
  requests: multiplexed ? 24 : 5,
  ...(here ? { onFirst: (document, picture) => here.show(document as First, picture) } : { beside: headers => new FirstPicture(window, worker, headers) }),
});

window.config = {
  name: 'firstlight',
  routerBasename: '/viewer',
  extensions: [extension],
  modes: [],
  customizationService: {},
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  groupEnabledModesFirst: true,
  maxNumberOfWebWorkers: 3,
  /** Volumes use the thumbnail queue. */
  maxNumRequests: { interaction: 100, thumbnail: multiplexed ? 50 : 8, prefetch: multiplexed ? 25 : 5 },
  studyPrefetcher: { enabled: false },
  defaultDataSourceName: 'firstlight',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'firstlight',
      configuration: {
        friendlyName: 'Firstlight',
        name: 'firstlight',
        qidoRoot: root,
        wadoRoot: root,
        wadoUriRoot: root,
        qidoSupportsIncludeField: true,
        supportsReject: false,
        supportsStow: true,
        dicomUploadEnabled: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'thumbnail',
        thumbnailRequestStrategy: 'fetch',
        enableStudyLazyLoad: true,
        staticWado: false,
        singlepart: 'bulkdata,video',
        omitQuotationForMultipartRequest: true,
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        /** `single` first: prefetch takes `default`, else the first entry. The extension brings its own loader. */
        stackRetrieveOptions: { $set: { retrieveOptions: { single: {}, default: {} } } },
      },
    },
  ],
};
