/** What hands can do here. */
import { make, openDialog } from '../dom.ts';
import { TOOLS } from '../view/tools.ts';

const ROWS: [string, string][] = [
  ['One finger, or the left button', 'the chosen tool'],
  ['Two fingers', 'zoom and move'],
  ['Wheel', 'next and previous image; with Ctrl, or on a single image: zoom'],
  ['Middle button, right button', 'move, zoom'],
  ['Arrows, Page Up and Down, Home, End', 'one image on or back, ten, first, last'],
  ['+ and -', 'zoom'],
  ['i, r', 'invert, as it was opened'],
  ['Space', 'play and stop'],
  ['Delete', 'remove the last mark'],
  ...TOOLS.map(({ name, key }): [string, string] => [key, `tool: ${name}`]),
  ['1, 2', 'one image, two side by side'],
  ['?', 'this help'],
];

const NOTES = [
  '“Preview” on an image says that its finest level has not arrived. Lengths on it are those of the full image; values and statistics are measured when it is complete.',
  'Lengths “at the detector” are not lengths in the patient: the image does not tell how much it is magnified. “px” means that the image tells no scale.',
  'Two images side by side scroll together: by position in the patient where both are in one frame of reference, by number else.',
];

export function showHelp(): void {
  openDialog(
    'Help',
    make('table', { className: 'help' }, make('tbody', {}, ...ROWS.map(([what, does]) => make('tr', {}, make('th', { scope: 'row' }, what), make('td', {}, does))))),
    ...NOTES.map(note => make('p', {}, note))
  );
}
