/**
 * What the loading worker says, several at a time: each message costs the page a turn, and a phone's processor has few. A picture goes at once, with what
 * waits; states wait for it a moment.
 */
import type { FromLoader, WorkerScope } from '@firstlight/loader/loading';

const LATEST_MS = 60;

/** A worker's scope whose messages come to the page in lists. */
export function inBatches(scope: WorkerScope<readonly FromLoader[]>): WorkerScope {
  let waiting: FromLoader[] = [];
  let handed: ArrayBuffer[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const send = () => {
    clearTimeout(timer);
    timer = undefined;
    scope.postMessage(waiting, handed);
    [waiting, handed] = [[], []];
  };
  return {
    addEventListener: (type, listener) => scope.addEventListener(type, listener),
    postMessage(message, transfer) {
      waiting.push(message);
      handed.push(...transfer);
      if (mayWait(message)) timer ??= setTimeout(send, LATEST_MS);
      else send();
    },
  };
}

const mayWait = (message: FromLoader): boolean => message.type === 'state' && message.state.state !== 'failed' && message.state.state !== 'retrying';
