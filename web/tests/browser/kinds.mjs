/** What is no plain grey image: a palette, an overlay, a document, loss, on the light page; and in OHIF what cannot be shown, in a sentence. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Archive } from './archive.mjs';
import { LightPage } from './light-page.mjs';
import { makeDocument, makeLossy } from './made.mjs';
import { Viewer } from './viewer.mjs';
import { until, whether } from './waiting.mjs';

/** In the corpus: what each file stands for. */
export const KINDS = {
  palette: 'pydicom/pydicom__examples_palette.dcm',
  overlay: 'pydicom/pydicom__examples_overlay.dcm',
  segmentation: 'nonimage/highdicom__seg_image_ct_binary.dcm',
  structures: 'pydicom/dicom-test-files__rtstruct.dcm',
  slide: 'wsi/google/jpeg.dicom',
};

export async function kinds({ checks, browser, corpus, picture }) {
  const made = await mkdtemp(join(tmpdir(), 'firstlight-made-'));
  const [note, letter, lossy] = [await makeDocument(join(made, 'note.dcm'), 1, 0), await makeDocument(join(made, 'letter.dcm'), 3, 200_000), await makeLossy(join(made, 'lossy.dcm'))];
  const archive = await Archive.serve([...Object.values(KINDS).map(path => join(corpus, path)), made]);
  try {
    const all = await archive.json('/studies?includefield=00080061');
    const studies = {};
    for (const each of all) {
      const [uid, kind] = [each['0020000D'].Value[0], each['00080061']?.Value?.[0]];
      if (![note, letter, lossy].includes(uid)) studies[kind] = uid;
    }
    const context = { checks, browser, url: archive.url, picture };
    await palette({ ...context, study: studies.US });
    await overlay({ ...context, study: studies.MR });
    await letters({ ...context, note, letter });
    await loss({ ...context, study: lossy });
    await sentences({ ...context, studies });
  } finally {
    await archive.stop();
    await rm(made, { recursive: true, force: true });
  }
}

async function palette({ checks, browser, url, study, picture }) {
  const light = await LightPage.open(browser, url, `?study=${study}`);
  await light.opened();
  const far = await light.page.evaluate(async study => {
    const { first } = await (await fetch(`/dicom-web/studies/${study}/first`)).json();
    const image = new Image();
    image.src = URL.createObjectURL(await (await fetch(`/dicom-web/studies/${study}/series/${first.series}/instances/${first.instance}/rendered`, { headers: { Accept: 'image/png' } })).blob());
    await image.decode();
    const shown = document.querySelector('.viewport canvas.image');
    window.firstlight.pixels();
    const read = source => {
      const context = new OffscreenCanvas(64, 28).getContext('2d');
      context.imageSmoothingQuality = 'high';
      const by = Math.min(shown.width / image.width, shown.height / image.height);
      const [width, height] = [image.width * by, image.height * by];
      source === shown ? context.drawImage(shown, (shown.width - width) / 2, (shown.height - height) / 2, width, height, 0, 0, 64, 28) : context.drawImage(image, 0, 0, 64, 28);
      return context.getImageData(0, 0, 64, 28).data;
    };
    const [ours, theirs] = [read(shown), read(image)];
    const differ = ours.reduce((sum, each, n) => sum + Math.abs(each - theirs[n]), 0) / ours.length;
    const coloured = theirs.filter((each, n) => n % 4 === 0 && Math.abs(each - theirs[n + 2]) > 24).length;
    return { differ, coloured };
  }, study);
  checks.that('a palette shows the colours that the server renders', far.differ <= 3 && far.coloured > 0, `${far.differ.toFixed(2)} of 255 on the average, ${far.coloured} places of colour`);
  checks.that('and has no window to turn', (await light.words('window')) === '' && (await light.page.locator('#presets-label').isHidden()));
  await picture({ page: light.page }, 'light-palette');
  await light.close();
}

async function overlay({ checks, browser, url, study, picture }) {
  const light = await LightPage.open(browser, url, `?study=${study}`);
  const { page } = light;
  await light.arrived(0);
  const set = await page.evaluate(async study => {
    const { first } = await (await fetch(`/dicom-web/studies/${study}/first`)).json();
    const [each] = await (await fetch(`/dicom-web/studies/${study}/series/${first.series}/metadata`, { headers: { Accept: 'application/dicom+json' } })).json();
    const data = each['60003000'];
    const bytes = data.InlineBinary ? Uint8Array.from(atob(data.InlineBinary), each => each.charCodeAt(0)) : new Uint8Array(await (await fetch(data.BulkDataURI, { headers: { Accept: 'application/octet-stream' } })).arrayBuffer());
    const [rows, columns] = [each['60000010'].Value[0], each['60000011'].Value[0]];
    let bits = 0;
    for (let n = 0; n < rows * columns; n++) bits += (bytes[n >> 3] >> (n & 7)) & 1;
    return { share: bits / (rows * columns), rows, columns };
  }, study);
  /** The share of the picture that is painted in the overlay's green. */
  const painted = () =>
    page.evaluate(({ rows, columns }) => {
      const canvas = document.querySelector('.viewport canvas.marks');
      if (canvas.hidden) return 0;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let green = 0;
      for (let n = 0; n < data.length; n += 4) green += data[n + 3] > 200 && data[n] === 0x8c && data[n + 1] === 0xe0 && data[n + 2] === 0x66 ? 1 : 0;
      const by = Math.min(canvas.width / columns, canvas.height / rows);
      return green / (columns * by * rows * by);
    }, set);
  await page.waitForFunction(() => !document.getElementById('overlays-label').hidden);
  const shown = await until('an overlay', painted, share => share > 0).catch(painted);
  checks.that('an overlay is painted over its image, as much as it has', set.share > 0 && Math.abs(shown - set.share) <= 0.1 * set.share, `${(100 * shown).toFixed(2)} % of ${(100 * set.share).toFixed(2)} %`);
  await picture({ page }, 'light-overlay');
  await page.click('#menu summary');
  await page.uncheck('#overlays');
  checks.that('and not where it is turned off', await whether(until('no overlay', painted, share => share === 0)));
  await light.close();
}

/** A document lies in the metadata, or behind an address of its own. */
async function letters({ checks, browser, url, note, letter }) {
  const small = await LightPage.open(browser, url, `?study=${note}`);
  const link = small.page.locator('.sentence a');
  await link.waitFor();
  const [download] = await Promise.all([small.page.waitForEvent('download'), link.click()]);
  const saved = await readFile(await download.path(), 'latin1');
  checks.that('a small PDF is saved as one', saved.startsWith('%PDF-') && download.suggestedFilename() === 'Letter.pdf', await link.textContent());
  await small.close();
  const large = await LightPage.open(browser, url, `?study=${letter}`);
  const address = large.page.locator('.sentence a');
  await address.waitFor();
  const bytes = await large.page.evaluate(async href => {
    const response = await fetch(href, { headers: { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    return { type: response.headers.get('Content-Type'), begin: (await response.text()).slice(0, 5) };
  }, await address.getAttribute('href'));
  checks.that('a large one is opened as one', /Letter.*application\/pdf/.test(await address.textContent()) && bytes.begin === '%PDF-' && /pdf/.test(bytes.type ?? ''), `${bytes.type}: ${await address.textContent()}`);
  await large.close();
}

async function loss({ checks, browser, url, study, picture }) {
  const light = await LightPage.open(browser, url, `?study=${study}`);
  await light.arrived(0);
  checks.that('loss is told on the image, with its ratio', /Lossy, ratio 12/.test(await light.words('series')), await light.words('series'));
  await light.close();
  const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${study}`);
  await viewer.until(`each => each.state === 'complete'`);
  const mark = await viewer.page.locator('.firstlight-lossy').textContent().catch(() => '');
  checks.that('in OHIF too, and it stays on the complete image', mark === 'Lossy 12 : 1', mark);
  await picture(viewer, 'ohif-lossy');
  await viewer.close();
}

async function sentences({ checks, browser, url, studies }) {
  for (const [what, study, words] of [
    ['a segmentation without its series', studies.SEG, /The segmentation.* cannot be shown: the series that it belongs to/],
    ['a structure set without its series', studies.RTSTRUCT, /The structure set.* cannot be shown/],
    ['a slide without its optical path', studies.SM, /The slide.* cannot be shown: it does not tell its optical path \(0048,0105\)/],
  ]) {
    const viewer = await Viewer.open(browser, url, `/viewer/viewer?StudyInstanceUIDs=${study}`);
    const said = await viewer.page.getByText(words).first().textContent().catch(() => '');
    checks.that(`OHIF: ${what} is told of in a sentence`, words.test(said), said || (await viewer.page.locator('body').innerText()).replaceAll('\n', ' ').slice(0, 300));
    await viewer.close();
  }
}
