/** `window.config` for stock OHIF 3.13, hosted at /viewer beside the archive's DICOMweb service. */
import { createExtension } from './extension.ts';

const root = `${window.location.origin}/dicom-web`;

window.config = {
  name: 'firstlight',
  routerBasename: '/viewer',
  extensions: [createExtension(root)],
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
  /** Volumes use the thumbnail queue; the browser itself keeps HTTP/1.1 to six connections. */
  maxNumRequests: { interaction: 100, thumbnail: 25, prefetch: 25 },
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
        supportsStow: false,
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
        /** `single` first: prefetch takes `default`, else the first entry. The extension adds the cuts of each frame. */
        stackRetrieveOptions: { $set: { retrieveOptions: { single: {}, default: {} } } },
      },
    },
  ],
};
