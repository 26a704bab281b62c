#!/usr/bin/env node
/**
 * Every study of the corpus in stock OHIF, by direct link, and the study list over all of them.
 *
 *     node tests/browser/studies.mjs [--sample N] [--from N]
 *
 * A study passes when its viewport shows something, OHIF says nothing of an error, and the server answers every request. What OHIF
 * itself cannot show stands in tests/sweep/ohif.tsv with its cause; an answer of the server that fails is no such cause, so it
 * is never excused. A 404 is an answer where there is no image to show.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Archive, STUDY } from './archive.mjs';
import { Checks } from './checks.mjs';
import { launch, Viewer } from './viewer.mjs';
import { PATIENCE } from './waiting.mjs';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const SHARED = process.env.FIRSTLIGHT_SHARED ?? resolve(ROOT, '..', 'shared');
const CORPUS = join(SHARED, 'data', 'open');
/** Where a picture of each study that shows nothing is kept. */
const OUT = join(ROOT, 'web', 'tests', 'out');
const EXPECTED = join(ROOT, 'tests', 'sweep', 'ohif.tsv');

/** One of each kind, the oddest first: as many as `--sample` asks for. */
const SAMPLE = [
  'pydicom/dicom-test-files__gdcm-US-ALOKA-16.dcm',
  'pydicom/dicom-test-files__OBXXXX1A.dcm',
  'ct/ge-hispeed-tilt',
  'pydicom/dicom-test-files__mlut_18.dcm',
  'pydicom/dicom-test-files__vlut_04.dcm',
  'pydicom/dicom-test-files__eCT_Supplemental.dcm',
  'xr/pylibjpeg-data__966_fixed.dcm',
  'nonimage/highdicom__sr_document.dcm',
  'pydicom/pydicom__waveform_ecg.dcm',
  'cine/pydicom__examples_ybr_color.dcm',
  'pydicom/dicom-test-files__rtplan.dcm',
  'colour-pattern/cornerstone3D__TestPattern_JPEG-Baseline_YBR422.dcm',
];

/** How long one is looked at of which it is known that OHIF cannot show it. */
const EXCUSED = 20_000;
/** How long it is watched after that: errors come late. */
const AFTER = 1500;
/** What OHIF says when it is at a loss. */
const AT_A_LOSS = /Something went wrong|Data Source Connection Error|Sorry, something/i;

async function main() {
  const checks = new Checks();
  const count = flag('--sample');
  if (!existsSync(CORPUS)) {
    checks.skip('every study', `${CORPUS} is not there`);
    return checks.close();
  }
  const sources = count === null ? [CORPUS] : SAMPLE.slice(0, count).map(path => join(CORPUS, path));
  await mkdir(OUT, { recursive: true });
  const archive = await Archive.serve(sources.filter(existsSync));
  for (const path of sources.filter(path => !existsSync(path))) checks.skip(path, 'it is not in the corpus');
  const browser = await launch();
  try {
    const studies = await archive.json('/studies?limit=1000');
    await checks.part('the study list', () => list(checks, browser, archive.url, studies.length));
    const excused = expected();
    // A long run can be gone on with.
    for (const study of studies.slice(flag('--from') ?? 0)) {
      const uid = study[STUDY].Value[0];
      await checks.part(`${describe(study)} ${uid}`, async () => judge(checks, uid, await look(browser, archive.url, uid, excused.has(uid)), excused.get(uid)));
    }
  } finally {
    await browser.close();
    await archive.stop();
  }
  return checks.close();
}

/** The number after a flag; `null` without the flag. */
function flag(name) {
  const at = process.argv.indexOf(name);
  if (at < 0) return null;
  const count = Number(process.argv[at + 1]);
  if (!Number.isInteger(count) || count < 1) throw new Error(`${name} takes a number of studies`);
  return count;
}

/** Cause by study, of what OHIF cannot show. */
function expected() {
  const lines = readFileSync(EXPECTED, 'utf8').split('\n').filter(line => line && !line.startsWith('#'));
  return new Map(lines.map(line => line.split('\t')).map(([study, , cause]) => [study, cause]));
}

function describe(study) {
  const first = tag => study[tag]?.Value?.[0];
  const name = first('00100010')?.Alphabetic ?? '(no name)';
  return [(study['00080061']?.Value ?? ['no modality']).join('/'), name, first('00081030')].filter(Boolean).join(', ');
}

async function list(checks, browser, url, count) {
  const watched = await Watched.open(browser, url, '/viewer/');
  const rows = watched.page.locator('[data-cy^="studyRow"], [data-cy="study-list-results"] tbody tr, table tbody tr');
  await rows.first().waitFor({ timeout: PATIENCE }).catch(() => {});
  await watched.page.waitForTimeout(AFTER);
  const seen = await rows.count();
  checks.that('lists studies', seen > 0, `${seen} rows on the first page, ${count} studies`);
  checks.that('says nothing of an error', !AT_A_LOSS.test(await watched.text()));
  checks.that('has every answer', watched.failed.length === 0, watched.failed[0] ?? '');
  await watched.close();
}

/** Opens a study and says what is seen of it. */
async function look(browser, url, uid, excused) {
  const watched = await Watched.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${uid}`);
  const shows = await watched.shows(excused ? EXCUSED : PATIENCE);
  await watched.page.waitForTimeout(AFTER);
  if (!shows) await watched.page.screenshot({ path: join(OUT, `study-${uid}.png`) });
  const seen = { shows, lost: AT_A_LOSS.test(await watched.text()), failed: watched.failed, errors: watched.errors };
  await watched.close();
  return seen;
}

function judge(checks, uid, { shows, lost, failed, errors }, cause) {
  if (failed.length > 0) return checks.that('has every answer', false, failed.join('; '));
  const trouble = [shows ? null : 'nothing is shown', lost ? 'OHIF says that something went wrong' : null].filter(Boolean).join(', ');
  const said = [...new Set(errors)].slice(0, 2).join(' | ');
  if (trouble && cause) return checks.skip(uid, `${trouble}: ${cause}`);
  if (!trouble && cause) console.log(`note: it is in tests/sweep/ohif.tsv, and shows: ${cause}`);
  return checks.that(`shows${shows ? ` ${shows}` : ''}`, trouble === '', trouble ? `${trouble}${said ? `: ${said}` : ''}` : said && `(console: ${said.slice(0, 160)})`);
}

/** A page whose failed answers and errors are kept. */
class Watched {
  failed = [];
  errors = [];
  #viewer;

  static async open(browser, url, path) {
    const watched = new Watched();
    watched.#viewer = await Viewer.open(browser, url, path, async page => {
      page.on('response', response => void watched.#answer(response, url));
      page.on('pageerror', error => watched.errors.push(error.message.slice(0, 300)));
      page.on('console', message => {
        if (message.type() === 'error') watched.errors.push(message.text().slice(0, 300));
      });
    });
    return watched;
  }

  get page() {
    return this.#viewer.page;
  }

  /** What the viewport shows; `null` when it has shown nothing for so long. */
  async shows(patience) {
    const deadline = Date.now() + patience;
    while (Date.now() < deadline) {
      const seen = await this.page.evaluate(showing).catch(() => null);
      if (seen === 'a slide') {
        // Its canvas cannot be read: a picture of the screen can.
        const box = await this.page.locator('.ol-viewport').first().boundingBox().catch(() => null);
        const png = box && (await this.page.screenshot({ clip: box }).catch(() => null));
        if (png && (await this.page.evaluate(hasColours, png.toString('base64')).catch(() => false))) return seen;
      } else if (seen) {
        return seen;
      }
      await this.page.waitForTimeout(250);
    }
    return null;
  }

  text() {
    return this.page.evaluate(() => document.body.innerText).catch(() => '');
  }

  close() {
    return this.#viewer.close();
  }

  async #answer(response, url) {
    if (response.status() < 400 || !response.url().startsWith(`${url}/dicom-web`)) return;
    // A page that went on has let go of the words: they are asked for anew.
    const body = await response.text().catch(() => fetch(response.url(), { headers: { Accept: '*/*' } }).then(again => again.text())).catch(() => '');
    if (response.status() === 404 && (body.startsWith('no such image') || (await hasNoPixels(response.url())))) return;
    this.failed.push(`${response.status()} ${response.url().slice(url.length)} ${body.trim().slice(0, 120)}`);
  }
}

/** OHIF asks for frames of instances that have none, such as an image class without Pixel Data. */
async function hasNoPixels(url) {
  const [, instance] = /^(.*\/instances\/[^/]+)\/(?:frames\/|thumbnail|rendered)/.exec(url) ?? [];
  if (!instance) return false;
  const answer = await fetch(`${instance}/metadata`, { headers: { Accept: 'application/dicom+json' } });
  const [metadata = {}] = answer.ok ? await answer.json() : [];
  return answer.ok && ['7FE00008', '7FE00009', '7FE00010'].every(tag => metadata[tag] === undefined);
}

/** In the page: what a viewport shows, or `false` as long as it shows nothing. */
function showing() {
  const page = document.querySelector('[data-cy="viewport-grid"], .viewport-wrapper') ?? document.body;
  if (!page) return false;
  for (const canvas of page.querySelectorAll('canvas')) {
    if (canvas.width < 32 || canvas.height < 32) continue;
    const context = canvas.getContext('2d');
    if (!context) continue;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 0 && data[i] + data[i + 1] + data[i + 2] > 24) return 'an image';
    }
  }
  if (page.querySelector('.ol-viewport canvas')) return 'a slide';
  if (page.querySelector('object[type="application/pdf"], iframe, embed')) return 'a document';
  if (page.querySelector('video')) return 'a video';
  if (page.querySelector('svg.ecg, [class*="ecg" i] canvas, [class*="ecg" i] svg')) return 'a waveform';
  // Without an image there is a text of its own: a structured report.
  const report = document.querySelector('[data-cy="sr-report"], .ohif-scrollbar h1, [class*="structured-report" i], [data-cy="viewport-pane"] > .overflow-auto .font-bold');
  return report ? 'a report' : false;
}

/** In the page: has this PNG, in base 64, more than a few shades? */
async function hasColours(base64) {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height);
  let bright = 0;
  for (let i = 0; i < data.length; i += 4) bright += data[i] + data[i + 1] + data[i + 2] > 150 ? 1 : 0;
  return bright > data.length / 4 / 100;
}

process.exit(await main());
