/** Starts the page's loading worker. Its script may be on a line that fails: until it has said something, it is started again. */
import { simdIsThere } from '@firstlight/htj2k';
import type { FromLoader, LoaderPort, ToLoader } from '@firstlight/loader/loading';
import { MODULE, SCALAR } from 'virtual:decoder';

const AGAIN_MS = 2000;

/** Where the decoder's module is. */
export const decoderModule = (): string => new URL(simdIsThere() ? MODULE : SCALAR, location.href).href;

/** A worker's end of the channel; `failed` is told each time that it could not be started. */
export function loadingWorker(failed: () => void): LoaderPort {
  /** What was said to it before it answered. */
  let said: ToLoader[] | undefined = [];
  let worker: Worker;
  const begin = () => {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = (event: MessageEvent<readonly FromLoader[]>) => {
      said = undefined;
      for (const message of event.data) port.onMessage(message);
    };
    worker.onerror = () => {
      if (!said) return;
      worker.terminate();
      failed();
      setTimeout(begin, AGAIN_MS);
    };
    for (const message of said ?? []) worker.postMessage(message);
  };
  const port: LoaderPort = {
    post: message => {
      // A list takes the place of the one before.
      if (message.type === 'want') said = said?.filter(({ type }) => type !== 'want');
      said?.push(message);
      worker.postMessage(message);
    },
    onMessage: () => undefined,
    close: () => worker.terminate(),
  };
  begin();
  return port;
}
