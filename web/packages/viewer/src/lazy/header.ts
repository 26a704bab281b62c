/** The data set of an image, with a search. */
import { make, openDialog } from '../dom.ts';
import type { DataSet } from '../dicom/dataset.ts';

/** Rows that are shown at once. */
const MOST = 2000;

export function showHeader(set: DataSet | undefined): void {
  const rows = set ? lines(set, '') : [];
  const body = make('tbody');
  const find = make('input', { type: 'search', placeholder: 'Tag or value', id: 'find' });
  find.setAttribute('aria-label', 'Find in the header');
  const told = make('p', { className: 'dim' });
  told.setAttribute('role', 'status');
  const show = () => {
    const words = find.value.toLowerCase();
    const found = rows.filter(cells => cells.join(' ').toLowerCase().includes(words));
    body.replaceChildren(...found.slice(0, MOST).map(cells => make('tr', {}, ...cells.map(cell => make('td', {}, cell)))));
    told.textContent = found.length > MOST ? `The first ${MOST} of ${found.length} lines` : `${found.length} of ${rows.length} lines`;
  };
  find.addEventListener('input', show);
  show();
  openDialog('DICOM header', find, told, make('table', {}, make('thead', {}, make('tr', {}, ...['Tag', 'VR', 'Value'].map(name => make('th', { scope: 'col' }, name)))), body));
  find.focus();
}

/** Tag, VR and value of each element, items of sequences under their sequence. */
export function lines(set: DataSet, before: string): string[][] {
  return Object.entries(set)
    .sort(([a], [b]) => a.localeCompare(b))
    .flatMap(([tag, element]) => {
      const name = `${before}(${tag.slice(0, 4)},${tag.slice(4)})`;
      if (element.vr === 'SQ') return [[name, 'SQ', `${element.Value?.length ?? 0} items`], ...(element.Value ?? []).flatMap(item => lines((item ?? {}) as DataSet, `${before}> `))];
      const value = element.Value?.map(one => (one !== null && typeof one === 'object' ? Object.values(one).join(' = ') : String(one))).join(' \\ ');
      return [[name, element.vr ?? '', value ?? (element.BulkDataURI ? 'bulk data' : element.InlineBinary ? `${Math.floor((element.InlineBinary.length * 3) / 4)} bytes` : '')]];
    });
}
