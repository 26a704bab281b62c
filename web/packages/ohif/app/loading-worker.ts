/** The loading worker for a script that is no module: its files lie beside it, under names that the build wrote in. */
import { simdIsThere } from '@firstlight/htj2k';
import { workerPort, type LoaderPort } from '@firstlight/loader/cornerstone';

/** Names below the script's folder; put in by the build. */
declare const LOADER_FILES: { worker: string; simd: string; scalar: string };

export function loadingWorker(base: string): { worker: Worker; loader: LoaderPort; wasm: string } {
  const url = (name: string) => new URL(name, base).href;
  const worker = new Worker(url(LOADER_FILES.worker), { type: 'module' });
  return { worker, loader: workerPort(worker), wasm: url(simdIsThere() ? LOADER_FILES.simd : LOADER_FILES.scalar) };
}
