/** Studies on the light page: the list with its search, earlier studies beside this one, other planes, the data behind a picture. */
import { LightPage, PHONE } from './light-page.mjs';
import { until } from './waiting.mjs';

export async function list({ checks, browser, url, all, picture }) {
  const light = await LightPage.open(browser, url, '', PHONE);
  const { page } = light;
  await page.waitForSelector('#studies li');
  const found = () => page.locator('#studies a').evaluateAll(links => links.map(link => link.dataset.study));
  const studies = [...new Set(all.map(({ study }) => study))];
  const listed = await found();
  checks.that('it lists every study', studies.every(uid => listed.includes(uid)), `${listed.length} studies`);
  checks.that('it fits the screen of a phone', await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await picture({ page }, 'light-list-phone');
  const asked = [];
  page.on('request', request => /\/dicom-web\/studies\?/.test(request.url()) && asked.push(new URL(request.url()).searchParams));
  // What is typed is searched for by itself too: what counts is the answer to the whole form, and that it stands there.
  const search = async ({ name, id, from, to, modality }) => {
    const of = { PatientName: name && `*${name}*`, PatientID: id && `*${id}*`, StudyDate: from && `${from}-${to}`.replace(/(\d{4})-(\d\d)-(\d\d)/g, '$1$2$3'), ModalitiesInStudy: modality?.toUpperCase() };
    const fields = { name, id, from, to, modality };
    const before = asked.length;
    for (const [field, words] of Object.entries(fields)) await page.fill(`#search [name=${field}]`, words ?? '');
    await page.click('#search button');
    const query = await until(`a search for ${JSON.stringify(fields)}`, () => asked.slice(before).find(query => Object.entries(of).every(([key, words]) => query.get(key) === (words ?? null))));
    const rows = await (await fetch(`${url}/dicom-web/studies?${query}`, { headers: { Accept: 'application/dicom+json' } })).text();
    const wanted = rows === '' ? [] : JSON.parse(rows).map(row => row['0020000D'].Value[0]);
    return until(`the list of ${wanted.length}`, found, hits => hits.join() === wanted.join());
  };
  const one = await page.evaluate(async uid => (await (await fetch(`/dicom-web/studies?StudyInstanceUID=${uid}&includefield=00100010`, { headers: { Accept: 'application/dicom+json' } })).json())[0], all[0].study);
  const value = tag => one[tag]?.Value?.[0]?.Alphabetic ?? one[tag]?.Value?.[0] ?? '';
  const day = value('00080020').replace(/^(\d{4})(\d{2})(\d{2})$/, '$1-$2-$3');
  for (const [what, fields] of [['name', { name: value('00100010').split('^')[0] }], ['ID', { id: value('00100020') }], ['date', { from: day, to: day }], ['modality', { modality: all[0].modality.toLowerCase() }]]) {
    const hits = await search(fields);
    checks.that(`a search by ${what} finds it`, hits.includes(all[0].study), `${hits.length} with ${JSON.stringify(fields)}`);
  }
  checks.that('and not what is of another ID', (await search({ id: 'none has this' })).length === 0, await page.textContent('#found'));
  await search({});
  await page.locator(`#studies a[data-study="${all[0].study}"]`).tap();
  await light.arrived(0);
  checks.that('a tap opens a study, without a new page', page.url().includes(`study=${all[0].study}`));
  await page.goBack();
  await page.waitForSelector('#studies li');
  checks.that('back leads to the list', await page.locator('#list').isVisible());
  checks.that('without an error', light.troubles.length === 0, light.troubles[0]);
  await light.close();
}

/** Two studies of a patient, side by side. */
export async function priors({ checks, browser, url, series, prior, picture }) {
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page } = light;
  await light.opened();
  await light.menu('priors');
  await page.waitForSelector('#dialog .choice button');
  const offered = await page.locator('#dialog .choice button').evaluateAll(buttons => buttons.map(button => button.dataset.study));
  checks.that("the patient's earlier study is offered", offered.includes(prior.study) && !offered.includes(series.study), `${offered.length} offered`);
  await page.click(`#dialog [data-study="${prior.study}"]`);
  await light.opened(1);
  const patients = [await light.words('patient', 0), await light.words('patient', 1)];
  checks.that('each says whose it is, and of when', patients[0] !== patients[1] && patients.every(words => words.split('\n').length === 3), patients.join(' | ').replaceAll('\n', ', '));
  checks.that('each has its letters', (await light.words('edge-left', 0)) === 'R' && (await light.words('edge-left', 1)) === 'R');
  const before = [Number((await light.state(0)).index), Number((await light.state(1)).index)];
  const own = Number((await light.turn(Array(9).fill('ArrowDown'), before[0] + 9)).index);
  const after = [own, Number((await light.shows({ index: Math.round(own / 3) }, {}, 1)).index)];
  // The earlier study has every third slice of this one.
  checks.that('they scroll together, by position', after[0] === before[0] + 9 && after[1] === Math.round(after[0] / 3), `${before.join(', ')} to ${after.join(', ')}`);
  await picture({ page }, 'light-priors');
  await page.click('#menu summary');
  await page.uncheck('#together');
  await page.click('#menu summary');
  await light.turn(['ArrowDown', 'ArrowDown', 'ArrowDown'], after[0] + 3);
  checks.that('and apart, when that is wanted', Number((await light.state(1)).index) === after[1]);
  await page.keyboard.press('1');
  checks.that('one key is one viewport again', (await page.locator('.viewport').count()) === 1);
  checks.that('without an error', light.troubles.length === 0, light.troubles[0]);
  await light.close();
}

export async function planes({ checks, browser, url, series, film, picture }) {
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page } = light;
  await light.opened();
  await light.menu('reformat');
  await page.waitForSelector('.reformat canvas');
  const count = Object.keys(series.levels).length;
  const early = await page.textContent('#reformat-state');
  checks.that('while slices are missing it says so', /of \d+ slices; what is black has not arrived/.test(early) || early.startsWith('All slices'), early);
  await page.waitForFunction(count => document.getElementById('reformat-state')?.dataset.count === String(count), count);
  const names = await page.locator('.reformat .corner').allTextContents();
  checks.that('three planes, each with its name and the patient', ['Axial', 'Coronal', 'Sagittal'].every((name, n) => names[n].startsWith(`${name}\n`)), names.map(words => words.split('\n')[0]).join(' '));
  checks.that('it says how fine they are', /interpolated/.test(await page.textContent('#reformat-state')), await page.textContent('#reformat-state'));
  checks.that('head is above', (await page.locator('.reformat [data-plane=Coronal] .edge-top').textContent()) === 'H');
  await picture({ page }, 'light-planes');
  await page.click('#dialog form button');
  await light.close();
  const flat = await LightPage.open(browser, url, `?study=${film.study}`);
  await flat.arrived(0);
  await flat.menu('reformat');
  await flat.page.waitForSelector('#dialog [role=alert]');
  checks.that('a radiograph is refused with a sentence', true, await flat.page.textContent('#dialog [role=alert]'));
  await flat.close();
}

export async function behind({ checks, browser, url, series, picture }) {
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page } = light;
  await light.arrived(0);
  await light.menu('header');
  await page.waitForSelector('#dialog td');
  const before = await page.locator('#dialog tbody tr').count();
  await page.fill('#find', '0028,0010');
  const rows = await page.locator('#dialog tbody tr').allTextContents();
  checks.that('the header is there, and is searched', before > 20 && rows.length === 1 && rows[0].startsWith('(0028,0010)'), `${before} lines, ${rows[0]}`);
  await page.fill('#find', '');
  await picture({ page }, 'light-header');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#dialog', { state: 'hidden' });
  await page.keyboard.press('?');
  await page.waitForSelector('#dialog .help');
  checks.that('the question mark is help', (await page.textContent('#dialog')).includes('Two fingers'));
  await light.close();
}
