// For those who run the archive: figures of this moment, how fast it goes, and what needs somebody's eyes.
'use strict';

const EVERY = 2000;
/** Readings that a plot holds: five minutes. */
const MOST = 150;
const byId = (id) => document.getElementById(id);
const readings = [];

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const whole = (number) => Math.round(number).toLocaleString();

function bytes(number) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let n = 0;
  while (number >= 1000 && n < units.length - 1) (number /= 1000), n++;
  return `${number >= 100 || n === 0 ? Math.round(number) : number.toFixed(1)} ${units[n]}`;
}

const time = (seconds) => new Date(1000 * seconds).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** Name, words, and whether somebody should look. */
const TILES = [
  ['Studies', (now) => whole(now.studies)],
  ['Instances', (now) => whole(now.instances)],
  ['Converted', (now) => whole(now.converted)],
  ['Kept as they came', (now) => whole(now.kept)],
  ['Wait for conversion', (now) => whole(now.pending)],
  ['Failed', (now) => whole(now.failed), (now) => now.failed > 0],
  ['Conflicts', (now) => whole(now.conflicts), (now) => now.conflicts > 0],
  ['Received', (now) => bytes(now.receivedBytes)],
  ['Converted objects', (now) => bytes(now.convertedBytes)],
  ['Free on the disk', (now) => (now.disk ? `${bytes(now.disk.free)} of ${bytes(now.disk.total)}` : 'not told'), (now) => now.disk && now.disk.free < 0.05 * now.disk.total],
  ['Connections, requests', (now) => `${whole(now.connections)}, ${whole(now.active)}`],
  ['Scrub', scrub],
];

function scrub({ scrub }) {
  if (!scrub) return 'none yet';
  if (scrub.ended) return `done ${time(scrub.ended)}`;
  return `${scrub.ofBytes > 0 ? Math.floor((100 * scrub.bytes) / scrub.ofBytes) : 0} % of ${bytes(scrub.ofBytes)}`;
}

/** Name, what is counted, and how a speed of it reads. */
const PLOTS = [
  ['Instances that come in', (now) => now.instances, (speed) => `${speed.toFixed(1)} a second`],
  ['Conversions', (now) => now.converted + now.kept + now.failed, (speed) => `${speed.toFixed(1)} a second`],
  ['Requests', (now) => now.requests, (speed) => `${speed.toFixed(1)} a second`],
  ['Sent', (now) => now.sentBytes, (speed) => `${bytes(speed)} a second`],
];

const LISTS = [
  ['failed', 'Failed conversions', 'What came is served as it came.'],
  ['conflicts', 'Conflicts', 'Other bytes came under UIDs that were there. Both are kept, the first is served.'],
  ['settled', 'Conflicts that were decided', 'Kept beside what is served.'],
  ['unserved', 'Unreadable, or of no study', 'Kept byte for byte, and not served.'],
  ['quarantine', 'Quarantine', 'Conversions that failed a check. What came is served as it came.'],
  ['faults', 'Damage', 'What the scrubber found not to be as it was stored.'],
  ['waiting', 'Waits for conversion', 'The oldest first.'],
];

/** What may be decided of a row of a list: what a button says, what it asks once more, where it is sent, and what names the row. */
const ACTIONS = {
  failed: [{ says: 'Try again', to: 'failed/again', names: ['study', 'series', 'instance'] }],
  conflicts: [
    { says: 'Keep what is served', asks: 'Keep it? Press again', to: 'conflicts/keep', names: ['study', 'object'] },
    { says: 'Serve this one', asks: 'Serve it? Press again', to: 'conflicts/serve', names: ['study', 'object'] },
  ],
  settled: [{ says: 'Serve this one', asks: 'Serve it? Press again', to: 'conflicts/serve', names: ['study', 'object'] }],
};

const COLUMNS = { at: 'When', kind: 'Kind', reason: 'Why', rule: 'Rule', codec: 'Codec', attempts: 'Tries', bytes: 'Bytes', source: 'From', study: 'Study', instance: 'Instance', object: 'Object', name: 'Name' };

function begin() {
  for (const [name] of TILES) byId('tiles').append(make('div', { className: 'tile' }, make('p', {}, name), make('b', {}, '–')));
  for (const [name] of PLOTS) {
    const plot = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    plot.setAttribute('viewBox', `0 0 ${MOST} 100`);
    plot.setAttribute('preserveAspectRatio', 'none');
    plot.setAttribute('aria-hidden', 'true');
    plot.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
    byId('plots').append(make('div', { className: 'plot' }, make('p', {}, `${name}: `, make('b', {}, '–')), plot));
  }
  for (const list of LISTS) byId('lists').append(details(list));
}

function details([list, title, words]) {
  const body = make('div', {});
  const box = make('details', {}, make('summary', {}, `${title} `, make('small', {}, words)), body);
  box.dataset.list = list;
  box.addEventListener('toggle', () => box.open && rows(list, body, 0));
  return box;
}

async function rows(list, body, offset) {
  let page;
  try {
    const response = await fetch(`/status/lists/${list}?offset=${offset}`);
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    page = await response.json();
  } catch (error) {
    body.replaceChildren(make('p', {}, `The list could not be read: ${error.message}`));
    return;
  }
  if (offset === 0) body.replaceChildren();
  body.querySelector('.more')?.remove();
  if (offset === 0 && page.rows.length === 0) body.append(make('p', {}, 'Nothing.'));
  if (page.rows.length > 0) body.append(table(list, page.rows));
  if (!page.more) return;
  const more = make('button', { type: 'button', className: 'more' }, 'Show more');
  more.addEventListener('click', () => rows(list, body, offset + page.rows.length));
  body.append(more);
}

/** Buttons of a row. What changes what others see is asked for twice. */
function actions(list, row) {
  return ACTIONS[list].map(({ says, asks, to, names }) => {
    const button = make('button', { type: 'button' }, says);
    let asked = !asks;
    button.addEventListener('click', () => {
      if (asked) return decide(button, to, Object.fromEntries(names.map((name) => [name, row[name]])));
      asked = true;
      button.textContent = asks;
    });
    button.addEventListener('blur', () => {
      if (button.disabled || !asks) return;
      asked = false;
      button.textContent = says;
    });
    return button;
  });
}

/** Sends what was decided; the row says how it ended. */
async function decide(button, to, row) {
  const cell = button.parentElement;
  cell.querySelectorAll('button').forEach((each) => (each.disabled = true));
  let told = 'Done';
  try {
    const response = await fetch(`/status/lists/${to}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(row) });
    if (!response.ok) told = `Not done: ${(await response.text()).trim() || response.statusText}`;
  } catch (error) {
    told = `Not done: ${error.message}`;
  }
  cell.replaceChildren(make('span', { role: 'status' }, told));
}

function table(list, found) {
  const names = Object.keys(COLUMNS).filter((name) => found.some((row) => row[name] !== undefined && row[name] !== null && row[name] !== ''));
  const head = make('tr', {}, ...names.map((name) => make('th', { scope: 'col' }, COLUMNS[name])));
  const cell = (name, value) => (value === undefined || value === null ? '' : name === 'at' ? time(value) : name === 'bytes' ? bytes(value) : String(value));
  const named = (name, row) => {
    const told = make('td', {}, cell(name, row[name]));
    told.dataset.name = COLUMNS[name];
    return told;
  };
  const acts = (row) => (ACTIONS[list] ? [make('td', { className: 'actions' }, ...actions(list, row))] : []);
  if (ACTIONS[list]) head.append(make('th', { scope: 'col' }, 'Decide'));
  const lines = found.map((row) => make('tr', {}, ...names.map((name) => named(name, row)), ...acts(row)));
  return make('div', { className: 'rows' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...lines)));
}

function tell(now) {
  TILES.forEach(([, words, isBad], n) => {
    const tile = byId('tiles').children[n];
    tile.querySelector('b').textContent = words(now);
    tile.classList.toggle('bad', Boolean(isBad?.(now)));
  });
  readings.push({ at: performance.now(), now });
  if (readings.length > MOST + 1) readings.shift();
  PLOTS.forEach(([, of, words], n) => plot(byId('plots').children[n], of, words));
  byId('version').textContent = `Firstlight ${now.version}`;
}

/** Speeds between one reading and the next, never below nothing: a server that was started anew counts from the beginning. */
function plot(box, of, words) {
  const speeds = readings.slice(1).map(({ at, now }, n) => Math.max(0, (1000 * (of(now) - of(readings[n].now))) / (at - readings[n].at)));
  if (speeds.length === 0) return;
  const most = Math.max(...speeds, 1e-9);
  box.querySelector('b').textContent = words(speeds.at(-1));
  const points = speeds.map((speed, n) => `${MOST - speeds.length + n + 1},${(98 - (96 * speed) / most).toFixed(1)}`);
  box.querySelector('path').setAttribute('d', `M${points.join(' L')}`);
}

async function look() {
  const alive = byId('alive');
  try {
    const response = await fetch('/status/now');
    if (!response.ok) throw new Error();
    tell(await response.json());
    alive.textContent = `Now, ${new Date().toLocaleTimeString()}`;
    alive.classList.remove('late');
  } catch {
    alive.textContent = 'The server does not answer; these figures are old';
    alive.classList.add('late');
  }
  setTimeout(look, document.hidden ? 15_000 : EVERY);
}

begin();
look();
