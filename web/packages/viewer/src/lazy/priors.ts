/** Earlier and later studies of the patient, to be seen beside this one. */
import { byId, make, openDialog } from '../dom.ts';
import { date, personName, text, type DataSet } from '../dicom/dataset.ts';
import { otherStudies } from '../study/archive.ts';
import { studyWords } from '../study/study-list.ts';

export async function showPriors(patient: DataSet | undefined, study: string, choose: (study: string) => void): Promise<void> {
  const id = text(patient, '00100020');
  if (!id) return void openDialog('Earlier studies', 'This study has no patient ID: others of the same patient cannot be found.');
  const told = make('p', {}, 'Looking…');
  told.setAttribute('role', 'status');
  openDialog('Earlier studies', told);
  let found: DataSet[];
  try {
    found = await otherStudies(id, study);
  } catch (error) {
    told.textContent = `They could not be read: ${error instanceof Error ? error.message : String(error)}`;
    return;
  }
  if (found.length === 0) return void (told.textContent = `No other study of patient ${id} is in the archive.`);
  const list = make('ul', { className: 'choice' });
  for (const one of found) {
    const button = make('button', { type: 'button', data: { study: text(one, '0020000D') } }, studyWords(one));
    const doubt = difference(patient, one);
    if (doubt) button.append(make('span', { className: 'warning' }, doubt));
    button.addEventListener('click', () => {
      byId<HTMLDialogElement>('dialog').close();
      choose(text(one, '0020000D'));
    });
    list.append(make('li', {}, button));
  }
  openDialog('Earlier studies', list);
}

/** What speaks against two studies of one ID being of one person. */
export function difference(a: DataSet | undefined, b: DataSet): string {
  const [born, other] = [text(a, '00100030'), text(b, '00100030')];
  if (born && other && born !== other) return `Same ID, but born ${date(other)}`;
  const [name, called] = [a, b].map(set => personName(text(set, '00100010')).toLowerCase()) as [string, string];
  return name && called && name !== called ? 'Same ID, but another name' : '';
}
