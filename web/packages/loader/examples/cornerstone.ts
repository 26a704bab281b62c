// Cornerstone3D with this loader, and no viewer around it: what stands between `init()` and the first viewport.
import { Frames, install, workerPort, type Cornerstone, type ImageLoaderFunction, type Loading } from '@firstlight/loader/cornerstone';

/** `cornerstone` is `@cornerstonejs/core`; `stock` is `wadors.loadImage` of `@cornerstonejs/dicom-image-loader`, for all that is not stored by levels. */
export function useLevels(cornerstone: Cornerstone, stock?: ImageLoaderFunction): Loading {
  const worker = new Worker(new URL('@firstlight/loader/worker', import.meta.url), { type: 'module' });
  const frames = new Frames({ loader: workerPort(worker), headers: () => ({ Authorization: `Bearer ${sessionStorage.getItem('token')}` }) });
  return install(cornerstone, frames, stock ? { stock } : {});
}
