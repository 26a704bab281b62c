/** What the page and its loading worker say to each other of a study's first image, over a channel of its own. */
import type { FirstAnswer } from '../src/first-document.ts';

export interface Study {
  root: string;
  study: string;
  headers: Record<string, string>;
}

export type ToPainter =
  /** Where to draw. */
  | { type: 'canvas'; canvas: OffscreenCanvas }
  /** How large the place is, in device pixels, and how many of them are a pixel of the page. */
  | { type: 'room'; width: number; height: number; scale: number }
  /** The user may open it next. */
  | ({ type: 'ask' } & Study)
  /** It is opened: its first image is shown as soon as it is there. */
  | ({ type: 'open' } & Study)
  /** It is opened as a volume: its slices are loaded ahead. The shorter side of a pane has so many device pixels. */
  | ({ type: 'volume'; side: number } & Study)
  /** What was asked is asked anew. */
  | { type: 'forget' }
  /** The viewer shows its own, or the study was left. */
  | { type: 'close' };

export type FromPainter =
  | { type: 'answer'; study: string; answer: FirstAnswer }
  /** A picture was drawn at a time (ms since the epoch): a level of this many columns and rows. */
  | { type: 'drawn'; study: string; at: number; columns: number; rows: number; words: string }
  /** The canvas is transparent again. */
  | { type: 'cleared' };
