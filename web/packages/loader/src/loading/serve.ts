/** A worker's end of the channel to its page. */
import { FrameLoader, type FrameLoaderOptions } from './frame-loader.ts';
import { inlineDecoders } from './inline-decoder.ts';
import type { FromLoader, ToLoader } from './messages.ts';

/** What is used of a worker's global scope. */
export interface WorkerScope {
  addEventListener(type: 'message', listener: (event: MessageEvent<ToLoader>) => void): void;
  postMessage(message: FromLoader, transfer: ArrayBuffer[]): void;
}

/** Loads for the page; gives the loader, which is there once the page has started it. `onImage` is told of each level in this thread. */
export function serve(scope: WorkerScope, onImage?: FrameLoaderOptions['onImage']): () => FrameLoader | undefined {
  let loader: FrameLoader | undefined;
  scope.addEventListener('message', ({ data }) => {
    if (data.type === 'start') loader = new FrameLoader({ decoders: inlineDecoders(data.wasm), say: (message, transfer) => scope.postMessage(message, transfer), ...(onImage && { onImage }) });
    loader?.hear(data);
  });
  return () => loader;
}
