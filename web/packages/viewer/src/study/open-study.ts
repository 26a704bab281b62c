/** Opening a study: its first picture is asked for as soon as one answer names it, the rest of the series comes beside it. */
import { text, type DataSet } from '../dicom/dataset.ts';
import { keyOf } from '../load/stack.ts';
import type { Viewport } from '../view/viewport.ts';
import { first, firstLevels, levels, metadata, Refused, type First } from './archive.ts';
import { Series } from './series.ts';

const UID = /^[\d.]{1,128}$/;

export interface Opened {
  study: DataSet;
  series: DataSet[];
}

/** Opens series in one viewport; a later call ends an earlier one. */
export class Opener {
  readonly #viewport: Viewport;
  #asked = new AbortController();

  constructor(viewport: Viewport) {
    this.#viewport = viewport;
  }

  /** Opens a study at its first picture (or that of `wanted`), and gives what is in it; `undefined` if something else was opened meanwhile. */
  async study(study: string, wanted?: string): Promise<Opened | undefined> {
    const asked = this.#begin();
    if (!UID.test(study)) return this.#refuse('No study is named. Go back to the list and choose one.');
    let answer: First;
    try {
      answer = await first(study, wanted, sentence => this.#tell(asked, sentence));
    } catch (error) {
      return asked.aborted ? undefined : this.#refuse(`This study could not be read: ${words(error)}`);
    }
    if (asked.aborted) return undefined;
    if (answer.series.length === 0) return this.#refuse('This study is not in the archive.');
    const uid = answer.first?.series ?? wanted ?? text(answer.series[0], '0020000E');
    if (answer.first) this.#firstPicture(study, answer.first);
    // What is read of the series meanwhile comes beside the first picture, not before it.
    void (answer.first ? this.#viewport.sent() : Promise.resolve()).then(() => this.#rest(study, uid, asked));
    return { study: answer.study, series: answer.series };
  }

  series(study: string, uid: string, at?: { instance: string; frame: number }): Promise<void> {
    const asked = this.#begin();
    this.#viewport.clear('Loading…');
    return this.#rest(study, uid, asked, at);
  }

  close(): void {
    this.#asked.abort();
  }

  #begin(): AbortSignal {
    this.#asked.abort();
    this.#asked = new AbortController();
    this.#viewport.clear('Loading…');
    return this.#asked.signal;
  }

  #tell(asked: AbortSignal, sentence: string): void {
    if (!asked.aborted) this.#viewport.trouble(sentence);
  }

  #firstPicture(study: string, told: NonNullable<First['first']>): void {
    const series = new Series(study, told.series, [told.metadata], false);
    const at = series.indexOf(told.instance, told.frame);
    if (at < 0) return;
    const levels = firstLevels(told);
    this.#viewport.open(series, at, levels && new Map([[keyOf(series.pictures[at]!), levels]]));
  }

  /** All of a series. */
  async #rest(study: string, uid: string, asked: AbortSignal, at?: { instance: string; frame: number }): Promise<void> {
    if (asked.aborted) return;
    const described = metadata(study, uid, sentence => this.#tell(asked, sentence), asked);
    // Where levels end is told beside: without it, it is read from each codestream's own first bytes.
    const ends = levels(study, uid, asked);
    let sets: DataSet[];
    try {
      sets = await described;
    } catch (error) {
      if (!asked.aborted) this.#viewport.say(`This series could not be read: ${words(error)}`);
      return;
    }
    if (asked.aborted) return;
    const series = new Series(study, uid, sets);
    if (series.pictures.length === 0) return this.#other(series);
    const found = at ? series.indexOf(at.instance, at.frame) : -1;
    if (this.#viewport.series?.uid === uid) this.#viewport.extend(series);
    else this.#viewport.open(series, found >= 0 ? found : series.opening);
    const told = await ends;
    if (!asked.aborted) this.#viewport.stack?.know(told);
  }

  /** A series without pictures. */
  async #other(series: Series): Promise<void> {
    const { otherWords } = await import('../lazy/document.ts');
    this.#viewport.clear('');
    this.#viewport.say(otherWords(series.sets));
  }

  #refuse(sentence: string): undefined {
    this.#viewport.clear(sentence);
  }
}

const words = (error: unknown): string => (error instanceof Refused || error instanceof Error ? error.message : String(error));
