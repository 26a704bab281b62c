/** What a page and its loading worker say to each other. */
import type { Begun, Pauses, StreamState } from '../frame-stream.ts';
import type { FrameLevels } from '../levels.ts';
import type { Picture, Shape } from './picture.ts';

/** A frame that is wanted, to which level, and what is to be made of it. */
export interface Job {
  frame: string;
  url: string;
  level: number;
  /** Coarser levels that are worth a picture as they pass. */
  worth: readonly number[];
  shape: Shape;
  levels?: FrameLevels | undefined;
  /** What another part of the page has received of it. */
  begun?: Begun | undefined;
}

export type ToLoader =
  | { type: 'start'; wasm?: string | undefined; requests: number; pauses?: Partial<Pauses> | undefined }
  /** This, in this order, and nothing else. */
  | { type: 'want'; jobs: readonly Job[]; headers: Record<string, string> }
  /** The page no longer has these. */
  | { type: 'forget'; frames: readonly string[] }
  | { type: 'renewed'; worked: boolean; headers: Record<string, string> }
  /** What failed may be tried again. */
  | { type: 'retry' };

/** What is known of the line. */
export interface LineState {
  /** Bytes a second, and ms to a first byte. */
  throughput: number | undefined;
  delay: number | undefined;
  /** Bytes of frames received so far. */
  bytes: number;
  /** Requests that are open. */
  open: number;
}

export type FromLoader =
  | { type: 'picture'; frame: string; picture: Picture; levels: FrameLevels | undefined; line: LineState }
  | { type: 'state'; frame: string; state: StreamState; levels: FrameLevels | undefined; line: LineState }
  /** While requests are open, now and then: what is silent else may be a line that stands still. */
  | { type: 'line'; line: LineState }
  /** A sign-in is over: is there another? */
  | { type: 'renew' };

/** The end of a channel to a loading worker, or to a loader in the page itself. */
export interface LoaderPort {
  post(message: ToLoader): void;
  onMessage: (message: FromLoader) => void;
  close(): void;
}
