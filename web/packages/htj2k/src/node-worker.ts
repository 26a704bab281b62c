/** The worker as a thread of Node. */
import type { Port, ToWorker } from './messages.ts';
import { serve } from './worker.ts';

const name = 'node:worker_threads';
const { parentPort } = (await import(/* @vite-ignore */ name)) as { parentPort: Port & { on(event: 'message', hear: (message: ToWorker) => void): void } };
const answer = serve(parentPort);
parentPort.on('message', message => void answer(message));
