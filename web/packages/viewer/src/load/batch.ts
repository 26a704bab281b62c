/**
 * What the loading worker says, several at a time: each message costs the page a turn, and a phone's processor has few. A picture goes with the state that
 * it brings about, and with all that waits; states alone wait for one a moment.
 */
import type { FromLoader, WorkerScope } from '@firstlight/loader/loading';

const WAITS_MS = 60;

/** A worker's scope whose messages come to the page in lists. */
export function inBatches(scope: WorkerScope<readonly FromLoader[]>): WorkerScope {
  let waiting: FromLoader[] = [];
  let handed: ArrayBuffer[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let soon = false;
  const send = () => {
    clearTimeout(timer);
    timer = undefined;
    soon = false;
    scope.postMessage(waiting, handed);
    [waiting, handed] = [[], []];
  };
  return {
    addEventListener: (type, listener) => scope.addEventListener(type, listener),
    postMessage(message, transfer) {
      waiting.push(message);
      handed.push(...transfer);
      if (soon) return;
      soon = !mayWait(message);
      if (soon) clearTimeout(timer);
      if (soon || timer === undefined) timer = setTimeout(send, soon ? 0 : WAITS_MS);
    },
  };
}

const mayWait = (message: FromLoader): boolean => message.type === 'state' && message.state.state !== 'failed' && message.state.state !== 'retrying';
