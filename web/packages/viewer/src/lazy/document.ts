/** Series without pictures: a document to open, a report as text, or a sentence that says why nothing is shown. */
import { make } from '../dom.ts';
import { inlineBytes, items, number, text, words, type DataSet } from '../dicom/dataset.ts';

const SENTENCES: Record<string, string> = {
  SEG: 'A segmentation holds no pictures of its own. OHIF shows it over its series.',
  RTSTRUCT: 'Contours for radiotherapy hold no pictures. OHIF shows them over their series.',
  RTDOSE: 'A dose without pixels cannot be shown here.',
  RTPLAN: 'A radiotherapy plan holds no pictures.',
  PR: 'A presentation state says how other images are shown; it holds none.',
  KO: 'A key object selection names images of other series; it holds none.',
  SM: 'This slide holds no picture that can be shown here.',
  ECG: 'A waveform is not shown here.',
  AU: 'A sound is not played here.',
};

export function otherWords(sets: readonly DataSet[]): Node | string {
  const set = sets[0];
  if (!set) return 'This series is empty.';
  if (set['00420011']) return documentLink(set);
  if (set['0040A730']) return report(set);
  const kind = text(set, '00080060');
  if (number(set, '00280010') && !set['7FE00010']) return `The pixels of this series (${kind || 'of unknown kind'}) are no integers, or not there: they cannot be shown here.`;
  return SENTENCES[kind] ?? `${kind || 'This series'} holds no pictures. Its data stands under “DICOM header”.`;
}

/** An encapsulated document (PS3.3 C.24.2): by its address, or as a file to save where it lies in the metadata. */
function documentLink(set: DataSet): HTMLElement {
  const [title, kind] = [text(set, '00420010'), text(set, '00420012') || 'of unknown kind'];
  const name = `the document${title ? ` “${title}”` : ''} (${kind})`;
  const { BulkDataURI } = set['00420011']!;
  if (BulkDataURI) return make('a', { href: BulkDataURI, target: '_blank', rel: 'noopener' }, `Open ${name}`);
  const bytes = inlineBytes(set, '00420011') ?? new Uint8Array();
  return make('a', { href: URL.createObjectURL(new Blob([bytes], { type: kind })), download: `${title || 'document'}${kind === 'application/pdf' ? '.pdf' : ''}` }, `Save ${name}`);
}

/** A structured report (PS3.3 C.17.3): concepts and their values, as they are nested. */
function report(set: DataSet): HTMLElement {
  const title = text(items(set, '0040A043')[0], '00080104') || 'Structured report';
  const state = [text(set, '0040A491'), text(set, '0040A493')].filter(Boolean).join(', ');
  return make('article', { className: 'report' }, make('h2', {}, title), ...(state ? [make('p', { className: 'dim' }, state)] : []), contents(set, 0));
}

/** Levels of nesting that are shown. */
const DEEPEST = 16;

function contents(set: DataSet, depth: number): HTMLElement {
  const list = make('ul');
  for (const item of items(set, '0040A730')) {
    const name = text(items(item, '0040A043')[0], '00080104');
    const value = valueOf(item);
    const line = make('li', {}, ...(name ? [make('b', {}, value ? `${name}: ` : name)] : []), value);
    if (item['0040A730'] && depth < DEEPEST) line.append(contents(item, depth + 1));
    list.append(line);
  }
  return list;
}

/** The value of a content item, by its type (PS3.3 table C.17.3-7). */
export function valueOf(item: DataSet): string {
  switch (text(item, '0040A040')) {
    case 'TEXT':
      return text(item, '0040A160');
    case 'CODE':
      return text(items(item, '0040A168')[0], '00080104');
    case 'NUM': {
      const measured = items(item, '0040A300')[0];
      const unit = items(measured, '004008EA')[0];
      return [text(measured, '0040A30A'), text(unit, '00080100') === '1' ? '' : text(unit, '00080104') || text(unit, '00080100')].filter(Boolean).join(' ');
    }
    case 'PNAME':
      return words(item['0040A123']?.Value?.[0]);
    case 'DATE':
      return text(item, '0040A121');
    case 'TIME':
      return text(item, '0040A122');
    case 'DATETIME':
      return text(item, '0040A120');
    case 'UIDREF':
      return text(item, '0040A124');
    case 'IMAGE':
      return 'an image of the study';
    case 'SCOORD':
    case 'SCOORD3D':
      return 'a drawn shape';
    default:
      return '';
  }
}
