// An app-config.js of OHIF 3.13 in TypeScript: compiled by a test, in a project that has nothing but these packages.
import { workerPort } from '@firstlight/loader/cornerstone';
import { createExtension, type Extension } from '@firstlight/ohif';

const worker = new Worker(new URL('@firstlight/loader/worker', import.meta.url), { type: 'module' });
export const extension: Extension = createExtension(`${location.origin}/dicom-web`, { loader: workerPort(worker), requests: 5 });
