/** What a page and its loading worker say to each other. */
import type { Detail, HtImage, Region } from '@firstlight/htj2k';
import type { Begun, Pauses, StreamState } from '../frame-stream.ts';
import type { FrameLevels } from '../levels.ts';
import type { Picture, PixelArray, Shape } from './picture.ts';

/** A frame that is wanted, to which level, and what is to be made of it. */
export interface Job {
  frame: string;
  url: string;
  level: number;
  /** Coarser levels that are worth a picture as they pass; without it, each is. */
  worth?: readonly number[] | undefined;
  /** Without it, samples come as they are. */
  shape?: Shape | undefined;
  /** This and the next are kept until the frame is forgotten: they need be told once. */
  levels?: FrameLevels | undefined;
  /** What decodes frames that come whole needs to know of this one. */
  form?: unknown;
  /** What another part of the page has received of it. */
  begun?: Begun | undefined;
}

/** Some rows or columns of the full image of a frame, of which a coarser level is there. */
export interface RegionJob {
  frame: string;
  url: string;
  region: Region;
  /** A sketch of rows or columns, or all of it. */
  detail: Detail;
  shape: Shape;
}

export type ToLoader =
  | Start
  /**
   * This, in this order, and nothing else; with `finish`, what is under way to less than the full image ends before it. Regions come before the jobs, as
   * soon as a level of their frame is there.
   */
  | { type: 'want'; jobs: readonly Job[]; headers: Record<string, string>; finish?: boolean | undefined; regions?: readonly RegionJob[] | undefined }
  /** The page no longer has these. With `keep` their bytes stay, for when they are wanted again; they are not wanted now. */
  | { type: 'forget'; frames: readonly string[]; keep?: boolean | undefined }
  /** The page has the pictures that it was given of these; bytes for finer ones need not be kept. */
  | { type: 'release'; frames: readonly string[] }
  | { type: 'renewed'; worked: boolean; headers: Record<string, string> }
  /** What failed may be tried again. */
  | { type: 'retry' };

export interface Start {
  type: 'start';
  /** Where the decoder's module is, and the bytes of memory at which it is replaced when nothing is open. */
  wasm?: string | undefined;
  recycleAt?: number | undefined;
  /** What may come; without it, frames as they are stored. */
  accept?: string | undefined;
  requests: number;
  pauses?: Partial<Pauses> | undefined;
}

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
  /** Samples as they are, and the bytes that the decoder holds. */
  | { type: 'image'; frame: string; image: HtImage; levels: FrameLevels | undefined; line: LineState; held: number }
  /** Values of a region, row by row; none where it can't be had by itself. */
  | { type: 'region'; frame: string; region: Region; values: PixelArray | undefined; line: LineState }
  | { type: 'state'; frame: string; state: StreamState; levels: FrameLevels | undefined; line: LineState }
  /** When the first request is open, then now and then: what is silent else may be a line that stands still. With the bytes there are of each frame under way. */
  | { type: 'line'; line: LineState; underWay: ReadonlyMap<string, number> }
  /** A sign-in is over: is there another? */
  | { type: 'renew' };

/** The end of a channel to a loading worker, or to a loader in the page itself. */
export interface LoaderPort {
  post(message: ToLoader): void;
  onMessage: (message: FromLoader) => void;
  close(): void;
}
