/** What page and worker say to each other. */
import type { LoadOptions } from './codec.ts';
import type { HtImage, Region } from './frame.ts';

export type ToWorker =
  | { type: 'load'; wasm?: string | ArrayBuffer | undefined; maxMemory?: number | undefined }
  | { type: 'open'; frame: number; length: number }
  | { type: 'push'; frame: number; bytes: Uint8Array }
  | { type: 'decode'; frame: number; call: number; level: number; region?: Region | undefined }
  | { type: 'close'; frame: number };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'failed'; message: string }
  | { type: 'level'; frame: number; level: number; have: number }
  | { type: 'image'; call: number; image: HtImage; heldBytes: number }
  | { type: 'error'; call: number; message: string };

/** The end of a channel, as browsers' workers and Node's have it. */
export interface Port {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
}

export type { LoadOptions };
