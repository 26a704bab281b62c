/** Ways to a loader: a worker, or the page's own thread where there is none. */
import type { Decoders } from '../frame-stream.ts';
import { FrameLoader, type DecodeWhole } from './frame-loader.ts';
import type { LoaderPort } from './messages.ts';

/** A worker that runs `@firstlight/loader/worker`. */
export function workerPort(worker: Worker): LoaderPort {
  const port: LoaderPort = { post: message => worker.postMessage(message), onMessage: () => undefined, close: () => worker.terminate() };
  worker.onmessage = event => port.onMessage(event.data);
  return port;
}

/** Loads in this thread, with these decoders. */
export function localPort(decoders: Decoders, fetching?: typeof fetch, decodeWhole?: DecodeWhole): LoaderPort {
  const loader = new FrameLoader({ decoders, decodeWhole, say: message => queueMicrotask(() => port.onMessage(message)), ...(fetching && { fetch: fetching }) });
  const port: LoaderPort = { post: message => loader.hear(message), onMessage: () => undefined, close: () => undefined };
  return port;
}
