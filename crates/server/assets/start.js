// The list of studies, from the same DICOMweb that viewers use, and how far conversion is.
'use strict';

const PAGE = 48;
const FIELDS = '00080061,00081030,00100010,00100020,00201206,00201208';
const byId = (id) => document.getElementById(id);
const list = byId('studies');

let words = '';
let shown = 0;
let known = null;
let asked = 0;
let viewers = { ohif: true, light: false };

function value(row, tag) {
  const values = row[tag]?.Value ?? [];
  return values.map((v) => (v !== null && typeof v === 'object' ? v.Alphabetic ?? v.Ideographic ?? v.Phonetic ?? '' : v));
}

function first(row, tag) {
  return String(value(row, tag)[0] ?? '').trim();
}

/** FAMILY^GIVEN^MIDDLE becomes "FAMILY, GIVEN MIDDLE". */
function personName(text) {
  const [family, ...rest] = text.split('^').map((part) => part.trim());
  const given = rest.slice(0, 2).filter(Boolean).join(' ');
  return [family, given].filter(Boolean).join(', ');
}

function date(text) {
  const parts = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(text);
  if (!parts) return text;
  const when = new Date(Date.UTC(+parts[1], +parts[2] - 1, +parts[3]));
  return when.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric', timeZone: 'UTC' });
}

function count(number, one, many) {
  return `${Number(number || 0).toLocaleString()} ${Number(number) === 1 ? one : many}`;
}

function card(row) {
  const item = byId('study').content.firstElementChild.cloneNode(true);
  const uid = first(row, '0020000D');
  const find = (selector) => item.querySelector(selector);
  const name = personName(first(row, '00100010')) || 'No name';
  item.dataset.study = uid;
  lead(item);
  find('h2').textContent = name;
  find('h2').title = name;
  find('.what').textContent = first(row, '00081030') || 'No description';
  find('.what').title = find('.what').textContent;
  find('.id').textContent = first(row, '00100020') || 'No ID';
  find('.id').title = find('.id').textContent;
  const facts = [date(first(row, '00080020'))];
  facts.push(count(first(row, '00201206'), 'series', 'series'), count(first(row, '00201208'), 'instance', 'instances'));
  find('.facts').textContent = facts.filter(Boolean).join(' · ');
  find('.facts').title = find('.facts').textContent;
  for (const modality of value(row, '00080061')) {
    const badge = document.createElement('b');
    badge.textContent = modality;
    find('.badges').append(badge);
  }
  const image = find('img');
  image.addEventListener('load', () => image.parentElement.classList.add('seen'));
  image.addEventListener('error', () => image.parentElement.classList.add('none'));
  image.src = `/dicom-web/studies/${encodeURIComponent(uid)}/thumbnail?viewport=480,360`;
  return item;
}

/** Where a card leads: to OHIF and the light page, or to what there is of the two. A phone gets the light page. */
function lead(item) {
  const uid = encodeURIComponent(item.dataset.study);
  const [ohif, light] = [`/viewer/viewer?StudyInstanceUIDs=${uid}`, `/light/?study=${uid}`];
  const small = matchMedia('(max-width: 640px)').matches;
  item.querySelector('.card').href = viewers.light && (small || !viewers.ohif) ? light : ohif;
  const second = item.querySelector('.light');
  second.hidden = !(viewers.light && viewers.ohif);
  second.href = small ? ohif : light;
  second.textContent = small ? 'OHIF' : 'Light view';
}

async function ask(matches, offset) {
  const query = new URLSearchParams({ limit: PAGE + 1, offset, fuzzymatching: false, includefield: FIELDS, ...matches });
  const response = await fetch(`/dicom-web/studies?${query}`, { headers: { Accept: 'application/dicom+json' } });
  if (response.status === 401) signIn();
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  return response.json();
}

/** A session that is over is begun anew, and the page comes back. */
function signIn() {
  location.assign(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
}

/** One page of studies: all, or those whose patient's name or ID holds the words. */
async function page(offset) {
  if (!words) return ask({}, offset);
  const pattern = `*${words.replace(/[*?\\]/g, '')}*`;
  const answers = await Promise.all([ask({ PatientName: pattern }, offset), ask({ PatientID: pattern }, offset)]);
  const rows = new Map(answers.flat().map((row) => [first(row, '0020000D'), row]));
  return [...rows.values()];
}

async function show(offset) {
  const turn = ++asked;
  let rows;
  try {
    rows = await page(offset);
    byId('notice').hidden = true;
  } catch (error) {
    byId('notice').textContent = `The list of studies could not be read: ${error.message}`;
    byId('notice').hidden = false;
    return;
  }
  if (turn !== asked) return;
  if (offset === 0) list.replaceChildren();
  list.append(...rows.slice(0, PAGE).map(card));
  shown = offset + PAGE;
  byId('more').hidden = rows.length <= PAGE;
  empty(list.children.length === 0);
}

function empty(is) {
  const place = byId('empty');
  place.hidden = !is;
  if (!is) return;
  const title = document.createElement('h1');
  const text = document.createElement('p');
  title.textContent = words ? 'Nothing found' : 'No studies yet';
  text.append(words ? `No patient's name or ID holds “${words}”.` : 'Start the server with ');
  if (!words) {
    const command = document.createElement('code');
    command.textContent = 'firstlight serve --data DIR --import FOLDER';
    text.append(command, ' and they appear here.');
  }
  place.replaceChildren(title, text);
}

async function state() {
  let wait = 30000;
  try {
    const answer = await fetch('/status.json');
    if (answer.status === 401) return signIn();
    const now = await answer.json();
    tell(now);
    if (now.pending > 0) wait = 2000;
    if (known !== null && known !== now.studies && shown <= PAGE && !words) await show(0);
    known = now.studies;
  } catch {
    byId('state-line').textContent = 'The server does not answer';
    wait = 5000;
  }
  setTimeout(state, wait);
}

function tell(now) {
  byId('sign-out').hidden = !now.signedIn;
  byId('who').textContent = now.signedIn ? `Signed in as ${now.signedIn}` : '';
  // Who may see a part of what is stored is not told of the rest.
  const parts = now.instances === undefined ? [] : [count(now.instances, 'instance', 'instances')];
  const add = (number, word) => number > 0 && parts.push(`${number.toLocaleString()} ${word}`);
  add(now.converted, 'converted');
  add(now.kept, 'kept');
  add(now.pending, 'pending');
  add(now.failed, 'failed');
  byId('state-line').textContent = parts.join(' · ');
  const share = (number) => `${now.instances ? (100 * number) / now.instances : 0}%`;
  byId('bar-converted').style.width = share(now.converted);
  byId('bar-kept').style.width = share(now.kept);
  byId('bar-failed').style.width = share(now.failed);
  byId('version').textContent = `Firstlight ${now.version}`;
  if (now.viewer !== viewers.ohif || now.light !== viewers.light) {
    viewers = { ohif: now.viewer, light: now.light };
    for (const item of list.children) lead(item);
  }
  if (!now.viewer && !now.light) {
    byId('notice').textContent = 'No viewer is installed: the studies are listed, but cannot be opened yet. ';
    const how = document.createElement('a');
    how.href = '/viewer';
    how.textContent = 'How to get it';
    byId('notice').append(how);
    byId('notice').hidden = false;
  }
}

let typing;
byId('words').addEventListener('input', (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    words = event.target.value.trim();
    show(0);
  }, 250);
});
byId('search').addEventListener('submit', (event) => event.preventDefault());
byId('more').addEventListener('click', () => show(shown));
show(0);
state();
