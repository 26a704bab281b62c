/** Storing from the pages: a file given to OHIF's list, and a folder given to the light page, are in the archive as they were, and in the list. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LightPage } from './light-page.mjs';
import { makeDocument } from './made.mjs';
import { Viewer } from './viewer.mjs';

const AS_STORED = { Accept: 'application/dicom; transfer-syntax=*' };

export async function storing({ checks, browser, url }) {
  const folder = await mkdtemp(join(tmpdir(), 'firstlight-storing-'));
  const viewer = await Viewer.open(browser, url, '/viewer/');
  try {
    const path = join(folder, 'letter.dcm');
    const study = await makeDocument(path, 9, 300_000);
    const instance = `${url}/dicom-web/studies/${study}/series/${study}.1/instances/${study}.1.1`;
    const { page } = viewer;
    await page.getByRole('button', { name: 'Upload' }).click();
    const answered = page.waitForResponse(response => response.request().method() === 'POST' && response.url().endsWith('/dicom-web/studies'));
    await page.locator('input[type=file]').first().setInputFiles(path);
    const answer = await answered;
    checks.that('OHIF stores a file that is given to its list', answer.status() === 200, `${answer.status()}`);
    const stored = Buffer.from(await (await fetch(instance, { headers: AS_STORED })).arrayBuffer());
    checks.that('it is in the archive, byte for byte', stored.equals(await readFile(path)), `${stored.length} bytes`);
    checks.that('without an error', viewer.troubles.length === 0, viewer.troubles[0]);
  } finally {
    await viewer.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A folder with an instance, one that is broken, and what is no DICOM; then a file that is dropped on the list. */
export async function storingFromLight({ checks, browser, url, picture }) {
  const folder = await mkdtemp(join(tmpdir(), 'firstlight-storing-'));
  const light = await LightPage.open(browser, url);
  const { page } = light;
  const stored = async (study, path) => {
    const answer = await fetch(`${url}/dicom-web/studies/${study}/series/${study}.1/instances/${study}.1.1`, { headers: AS_STORED });
    return Buffer.from(await answer.arrayBuffer()).equals(await readFile(path));
  };
  const told = source => [document.querySelector('#dialog [role=status]')?.textContent ?? ''].find(words => new RegExp(source).test(words));
  const said = pattern => page.waitForFunction(told, pattern).then(handle => handle.jsonValue());
  try {
    const cd = join(folder, 'cd', 'IMAGES');
    await mkdir(cd, { recursive: true });
    const letter = join(cd, 'IM0001');
    const study = await makeDocument(letter, 10, 300_000);
    await writeFile(join(cd, 'broken.dcm'), (await readFile(letter)).subarray(0, 200));
    await writeFile(join(folder, 'cd', 'autorun.inf'), 'open=viewer.exe');
    await page.click('#menu summary');
    await page.click('[data-do=add]');
    await page.locator('#dialog input[type=file]').nth(1).setInputFiles(join(folder, 'cd'));
    const words = await said('^1 stored, 1 refused, 1 no DICOM$');
    const told = await page.locator('#dialog li').allTextContents();
    checks.that('a folder goes to the archive; what is refused and what is no DICOM is told', words === '1 stored, 1 refused, 1 no DICOM' && told.length === 1 && told[0].startsWith('one of cd/IMAGES/'), `${words}; ${told}`);
    await picture({ page }, 'light-stored');
    checks.that('it is there, byte for byte', await stored(study, letter));
    await page.locator('#dialog form button').click();
    checks.that('and in the list', (await page.waitForSelector(`#studies [data-study="${study}"]`)) !== null);

    const dropped = join(folder, 'dropped.dcm');
    const other = await makeDocument(dropped, 11, 1000);
    const transfer = await page.evaluateHandle(bytes => {
      const all = new DataTransfer();
      all.items.add(new File([Uint8Array.from(bytes)], 'dropped.dcm'));
      return all;
    }, [...(await readFile(dropped))]);
    await page.dispatchEvent('#list', 'drop', { dataTransfer: transfer });
    checks.that('a file that is dropped on the list is stored', (await said('^1 stored$')) === '1 stored' && (await stored(other, dropped)));
    // A letter has no picture: its place in the list stays empty.
    const troubles = light.troubles.filter(words => !words.includes('404'));
    checks.that('without an error', troubles.length === 0, troubles[0]);
  } finally {
    await light.close();
    await rm(folder, { recursive: true, force: true });
  }
}
