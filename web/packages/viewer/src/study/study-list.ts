/** The list of studies: a search by patient, ID, date and modality, a page at a time. */
import { byId, make } from '../dom.ts';
import { date, number, personName, text, words, type DataSet } from '../dicom/dataset.ts';
import { PAGE as AT } from '../here.ts';
import { ask, Refused, searchPath, studyPath, type Search } from './archive.ts';

const PAGE = 30;

export class StudyList {
  readonly #open: (study: string) => void;
  #asked: AbortController | undefined;
  #shown = 0;

  constructor(open: (study: string) => void) {
    this.#open = open;
    const form = byId<HTMLFormElement>('search');
    let typing: ReturnType<typeof setTimeout>;
    form.addEventListener('input', () => {
      clearTimeout(typing);
      typing = setTimeout(() => void this.#show(0), 300);
    });
    form.addEventListener('submit', event => {
      event.preventDefault();
      clearTimeout(typing);
      void this.#show(0);
    });
    byId('more').addEventListener('click', () => void this.#show(this.#shown));
  }

  show(): void {
    byId('list').hidden = false;
    void this.#show(0);
  }

  hide(): void {
    this.#asked?.abort();
    byId('list').hidden = true;
  }

  async #show(offset: number): Promise<void> {
    this.#asked?.abort();
    const asked = (this.#asked = new AbortController());
    const search = Object.fromEntries(new FormData(byId<HTMLFormElement>('search'))) as unknown as Search;
    search.modality = search.modality.trim().toUpperCase();
    const said = byId('found');
    try {
      const rows = await ask<DataSet[]>(searchPath(search, PAGE, offset), sentence => !asked.signal.aborted && (said.textContent = sentence), asked.signal);
      if (asked.signal.aborted) return;
      if (offset === 0) byId('studies').replaceChildren();
      byId('studies').append(...rows.slice(0, PAGE).map(row => this.#row(row)));
      this.#shown = offset + Math.min(rows.length, PAGE);
      byId('more').hidden = rows.length <= PAGE;
      const searched = Object.values(search).some(Boolean);
      said.textContent = this.#shown === 0 ? (searched ? 'Nothing found.' : 'No studies yet.') : `${this.#shown}${rows.length > PAGE ? ' and more' : ''} ${this.#shown === 1 ? 'study' : 'studies'}`;
    } catch (error) {
      if (!asked.signal.aborted) said.textContent = `The list could not be read: ${error instanceof Refused ? error.message : String(error)}`;
    }
  }

  #row(row: DataSet): HTMLElement {
    const uid = text(row, '0020000D');
    const image = make('img', { alt: '', loading: 'lazy', src: `${studyPath(uid)}/thumbnail?viewport=160,160` });
    image.addEventListener('error', () => image.removeAttribute('src'));
    const link = make('a', { href: `${AT}?study=${encodeURIComponent(uid)}`, data: { study: uid } }, image, studyWords(row));
    link.addEventListener('click', event => {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#open(uid);
    });
    return make('li', {}, link);
  }
}

/** A study in four lines: who, which ID, what, when and how much. */
export function studyWords(row: DataSet): HTMLElement {
  const modalities = (row['00080061']?.Value ?? []).map(words).filter(Boolean).join(' ');
  const instances = number(row, '00201208') ?? 0;
  const facts = [date(text(row, '00080020')), modalities, instances > 0 && `${instances} ${instances === 1 ? 'image' : 'images'}`];
  return make(
    'span',
    { className: 'study' },
    make('b', {}, personName(text(row, '00100010')) || 'No name'),
    make('span', { className: 'dim' }, text(row, '00100020') || 'No ID'),
    make('span', {}, text(row, '00081030') || 'No description'),
    make('span', { className: 'dim' }, facts.filter(Boolean).join(' · '))
  );
}
