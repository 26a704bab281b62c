/** Storing from OHIF: a file given to its list of studies is in the archive as it was, and in the list. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    await page.getByRole('button', { name: 'Upload' }).click({ timeout: 60_000 });
    const answered = page.waitForResponse(response => response.request().method() === 'POST' && response.url().endsWith('/dicom-web/studies'), { timeout: 60_000 });
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
