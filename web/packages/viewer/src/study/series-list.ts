/** The series of a study, with a small picture of each. */
import { byId, make } from '../dom.ts';
import { text, type DataSet } from '../dicom/dataset.ts';
import { hasPictures, seriesPath } from './archive.ts';

/** Shows the list; `choose` is called with the UID of a series. */
export function listSeries(study: string, series: readonly DataSet[], choose: (uid: string) => void): void {
  byId('series').replaceChildren(...series.map(one => entry(study, one, choose)));
}

export function markSeries(uid: string): void {
  for (const button of byId('series').querySelectorAll('button')) button.setAttribute('aria-current', String(button.dataset.series === uid));
}

function entry(study: string, series: DataSet, choose: (uid: string) => void): HTMLElement {
  const uid = text(series, '0020000E');
  // Pictures of the list wait for the first image: they share its line.
  const image = hasPictures(series) ? make('img', { alt: '', loading: 'lazy', data: { src: `${seriesPath(study, uid)}/thumbnail?viewport=160,160` } }) : make('span', { className: 'kind' }, text(series, '00080060'));
  image.addEventListener('error', () => image.removeAttribute('src'));
  const count = text(series, '00201209');
  const name = text(series, '0008103E') || 'No description';
  const facts = [text(series, '00080060'), count && `${count} ${count === '1' ? 'instance' : 'instances'}`].filter(Boolean).join(' · ');
  const button = make('button', { type: 'button', title: name, data: { series: uid } }, image, make('span', {}, name), make('span', { className: 'dim' }, facts));
  button.addEventListener('click', () => choose(uid));
  return button;
}

/** Now the line is free for them. */
export function loadThumbnails(): void {
  for (const image of byId('series').querySelectorAll<HTMLImageElement>('img[data-src]')) {
    image.src = image.dataset.src!;
    delete image.dataset.src;
  }
}
