/**
 * Where each resolution level of each frame ends, as the server recorded it: `GET {series}/levels`.
 *
 * The document is fetched once per series and kept. A server without it, or a series without levels, is a normal answer:
 * the codestreams then tell.
 */
import { levelsUrl, parseImageId, type FrameAddress } from './address.ts';

/** One frame. All numbers are bytes. */
export interface FrameLevels {
  /** Transfer syntax of the stored codestream. */
  transferSyntax: string;
  /** Bytes of the default multipart body before the codestream. */
  bodyOffset: number;
  /** Length of the codestream. */
  length: number;
  /** Where each level ends in the codestream, coarsest first; the last is `length`. Empty: no levels known. */
  ends: readonly number[];
}

/** The frames of a series by SOP Instance UID, in order of frame number. */
export type SeriesLevels = ReadonlyMap<string, readonly FrameLevels[]>;

const NONE: SeriesLevels = new Map();

/** Reads the document; anything malformed counts as "no levels" for that instance, never as a guess. */
export function parseLevels(document: unknown): SeriesLevels {
  const instances = (document as { instances?: unknown } | null)?.instances;
  if (typeof instances !== 'object' || instances === null) return NONE;
  const series = new Map<string, FrameLevels[]>();
  for (const [uid, value] of Object.entries(instances)) {
    const { transferSyntax, bodyOffset, frames } = value as Record<string, unknown>;
    if (typeof transferSyntax !== 'string' || !isSize(bodyOffset) || !Array.isArray(frames)) continue;
    series.set(
      uid,
      frames.map(frame => ({ transferSyntax, bodyOffset, ...parseFrame(frame) })),
    );
  }
  return series;
}

function parseFrame(frame: unknown): Pick<FrameLevels, 'length' | 'ends'> {
  const { length, ends } = (frame ?? {}) as Record<string, unknown>;
  if (!isSize(length) || !Array.isArray(ends) || !ends.every(isSize)) return { length: 0, ends: [] };
  const rising = ends.every((end, i) => end > (ends[i - 1] ?? 0));
  return rising && ends.at(-1) === length ? { length, ends } : { length, ends: [] };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What this module needs of `fetch`. */
export type Fetch = (url: string) => Promise<Pick<Response, 'ok' | 'json'>>;

/** The levels of every series that was opened. */
export class LevelsStore {
  readonly #fetch: Fetch;
  readonly #pending = new Map<string, Promise<SeriesLevels>>();
  readonly #known = new Map<string, SeriesLevels>();

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  /** Starts to fetch the levels of a series, once. A failure is forgotten, so that the next opening asks again. */
  open(series: Pick<FrameAddress, 'root' | 'study' | 'series'>): Promise<SeriesLevels> {
    const url = levelsUrl(series);
    let pending = this.#pending.get(url);
    if (!pending) {
      pending = this.#load(url);
      this.#pending.set(url, pending);
    }
    return pending;
  }

  /** Asks for the levels of each series of these images; settles when all answers have come. */
  async openFor(imageIds: readonly string[]): Promise<void> {
    const series = new Map(imageIds.flatMap(imageId => {
      const address = parseImageId(imageId);
      return address ? [[levelsUrl(address), address] as const] : [];
    }));
    await Promise.all([...series.values()].map(address => this.open(address)));
  }

  clear(): void {
    this.#pending.clear();
    this.#known.clear();
  }

  /** The levels of one frame, if they are here. */
  frame(imageId: string): FrameLevels | null {
    const address = parseImageId(imageId);
    if (!address) return null;
    const series = this.#known.get(levelsUrl(address));
    return series?.get(address.instance)?.[address.frame - 1] ?? null;
  }

  async #load(url: string): Promise<SeriesLevels> {
    try {
      const response = await this.#fetch(url);
      const levels = response.ok ? parseLevels(await response.json()) : NONE;
      this.#known.set(url, levels);
      return levels;
    } catch {
      this.#pending.delete(url);
      return NONE;
    }
  }
}
