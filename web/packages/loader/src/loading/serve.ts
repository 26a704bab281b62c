/** A worker's end of the channel to its page. */
import { FrameLoader, type FrameLoaderOptions } from './frame-loader.ts';
import { inlineDecoders } from './inline-decoder.ts';
import type { FromLoader, ToLoader } from './messages.ts';

/** What is used of a worker's global scope. */
export interface WorkerScope<Said = FromLoader> {
  addEventListener(type: 'message', listener: (event: MessageEvent<ToLoader>) => void): void;
  postMessage(message: Said, transfer: ArrayBuffer[]): void;
}

/** Loads for the page; gives the loader, which is there once the page has started it. */
export function serve(scope: WorkerScope, own: Pick<FrameLoaderOptions, 'onImage' | 'decodeWhole'> = {}): () => FrameLoader | undefined {
  let loader: FrameLoader | undefined;
  scope.addEventListener('message', ({ data }) => {
    if (data.type === 'start') loader = new FrameLoader({ ...own, decoders: inlineDecoders(data.wasm, data.recycleAt), say: (message, transfer) => scope.postMessage(message, transfer) });
    loader?.hear(data);
  });
  return () => loader;
}
