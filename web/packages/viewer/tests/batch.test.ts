/** Messages of the loading worker, several at a time. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { FromLoader } from '@firstlight/loader/loading';
import { inBatches } from '../src/load/batch.ts';

const line = { throughput: undefined, delay: undefined, bytes: 0, open: 0 };
const state = (state: 'receiving' | 'failed' | 'complete', frame = 'a'): FromLoader => ({ type: 'state', frame, state: state === 'failed' ? { state, reason: 'gone' } : state === 'complete' ? { state } : { state, have: 0 }, levels: undefined, line });
const image = (samples: Uint8Array): FromLoader => ({ type: 'image', frame: 'a', image: { width: 1, height: 1, components: 1, precision: 8, signed: false, level: 0, complete: true, need: undefined, samples }, levels: undefined, line, held: 0 });

function start() {
  const sent: { messages: readonly FromLoader[]; handed: ArrayBuffer[] }[] = [];
  const scope = inBatches({ addEventListener: () => undefined, postMessage: (messages, handed) => sent.push({ messages, handed }) });
  return { sent, say: (message: FromLoader, handed: ArrayBuffer[] = []) => scope.postMessage(message, handed) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a picture goes at once, with what was said before it and the state that it brings about', () => {
  const { sent, say } = start();
  const samples = new Uint8Array(1);
  say(state('receiving'));
  vi.advanceTimersByTime(20);
  expect(sent).toHaveLength(0);
  say(image(samples), [samples.buffer]);
  say(state('complete'));
  vi.advanceTimersByTime(1);
  expect(sent.map(({ messages }) => messages.map(({ type }) => type))).toEqual([['state', 'image', 'state']]);
  expect(sent[0]!.handed).toEqual([samples.buffer]);
  vi.advanceTimersByTime(1000);
  expect(sent).toHaveLength(1);
});

it('states alone wait a moment, what failed does not', () => {
  const { sent, say } = start();
  say(state('receiving'));
  say(state('receiving', 'b'));
  vi.advanceTimersByTime(100);
  expect(sent.map(({ messages }) => messages.length)).toEqual([2]);
  say(state('failed'));
  vi.advanceTimersByTime(1);
  expect(sent).toHaveLength(2);
});
