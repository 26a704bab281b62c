#!/usr/bin/env node
/**
 * Stock OHIF in Chromium against the real server, through a proxy that makes a line of 30 Mbit/s and 10 ms.
 *
 *     npm run test:browser [-- --pictures] [--only WORDS]
 *
 * FIRSTLIGHT_BIN names the server (default: the debug build, else the release build), FIRSTLIGHT_VIEWER the unpacked OHIF,
 * FIRSTLIGHT_URL a server that runs already and has the images. Screenshots go to tests/out; `--pictures` copies those
 * of the README to docs/images; `--only` runs the parts whose names hold these words (or others, after a comma).
 */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ShapingProxy } from '../shaping-proxy.mjs';
import { Archive } from './archive.mjs';
import { Checks } from './checks.mjs';
import { CORPUS, images } from './images.mjs';
import * as firstLight from './first-light.mjs';
import { kinds } from './kinds.mjs';
import { faults } from './light-faults.mjs';
import { LightPage } from './light-page.mjs';
import { firefox } from './light-firefox.mjs';
import { session } from './light-session.mjs';
import * as shell from './light-shell.mjs';
import * as lightStudies from './light-studies.mjs';
import * as light from './light.mjs';
import { ohifFaults, openStack, stalls, wrongWords } from './ohif-faults.mjs';
import { EARLIER, makePrior } from './prior.mjs';
import { quality } from './quality.mjs';
import * as radiograph from './radiograph.mjs';
import * as safety from './safety.mjs';
import { signIn } from './sign-in.mjs';
import { storing, storingFromLight } from './storing.mjs';
import { launch, leave, Viewer } from './viewer.mjs';
import * as volume from './volume.mjs';
import { until, whether } from './waiting.mjs';
import { whole } from './whole.mjs';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const OUT = join(ROOT, 'web', 'tests', 'out');
const PICTURES = join(ROOT, 'docs', 'images');
/** Those of the README and the documentation. */
const PUBLISHED = ['radiograph-coarse', 'radiograph-useful', 'radiograph-complete', 'ct-mpr-filling', 'ct-mpr', 'light-phone', 'light-session-phone', 'ohif-quality', 'start'];

async function main() {
  const checks = new Checks();
  if (process.argv.includes('--only')) checks.only = process.argv[process.argv.indexOf('--only') + 1] ?? '';
  const { radiograph: film, series: slices, others } = images();
  if (!film) checks.skip('everything', 'neither ../shared nor the samples of `make samples` are there');
  if (!slices) checks.skip('the CT series', 'it is in ../shared, which is not there');
  if (others.length === 0) checks.skip('first light: other pictures, and faults', 'they are in ../shared, which is not there');
  if (film && !film.over2000) console.log('note: the radiograph is the sample of 1955 x 1841; the larger one is in ../shared');
  if (!film) return checks.close();

  const made = await mkdtemp(join(tmpdir(), 'firstlight-prior-'));
  const prior = slices ? await makePrior(slices.path, made) : 0;
  const archive = await Archive.start([...[film, slices].filter(Boolean).map(each => each.path), made], 1 + (slices?.slices ?? 0) + prior);
  const proxy = new ShapingProxy({ port: archive.port, mbit: 30, delay: 10 });
  const browser = await launch();
  try {
    await mkdir(OUT, { recursive: true });
    const url = `http://127.0.0.1:${await proxy.listen()}`;
    const all = await archive.series();
    checks.after = async () => {
      proxy.release();
      proxy.comeBack();
      proxy.shape(30, 10);
      await Promise.all(browser.contexts().map(leave));
    };
    const context = { checks, browser, proxy, url, picture };
    const filmSeries = all.find(each => each.modality !== 'CT');
    await checks.part('a radiograph', () => radiograph.loads({ ...context, series: filmSeries, image: film }));
    await checks.part('its first image, from the list', () => radiograph.comesFirst({ ...context, series: filmSeries }));
    await checks.part('a preview of it', () => radiograph.isLocked({ ...context, series: filmSeries }));
    await checks.part('an object that changes while it is loaded', () => radiograph.survives({ ...context, series: filmSeries, image: film }));
    if (slices) {
      const ctSeries = all.find(each => each.modality === 'CT' && each.date !== EARLIER);
      await checks.part('a CT series in MPR', () => volume.fills({ ...context, series: ctSeries, image: slices }));
    }
    if (slices) await checks.part('a CT series as JPEG-LS', () => whole({ ...context, image: slices }));
    await safely({ ...context, all, filmSeries, film, slices });
    await lightPage({ ...context, all, filmSeries, slices });
    await checks.part('first light on a slow line', () => firstLight.onSlowLine({ ...context, image: film }));
    if (others.length > 0) await checks.part('first light: other pictures, and faults', () => firstLight.others({ ...context, sources: [film.path, ...others] }));
    if (others.length > 0) await checks.part('kinds of images, and what cannot be shown', () => kinds({ ...context, corpus: CORPUS }));
    await checks.part('signing in', () => signIn(context));
    await checks.part('the start page', () => startPage({ ...context, series: all }));
    await checks.part('storing from OHIF', () => storing(context));
    await checks.part('storing from the light page', () => storingFromLight({ ...context, picture }));
  } finally {
    await browser.close();
    proxy.close();
    await archive.stop();
    await rm(made, { recursive: true, force: true });
  }
  return checks.close();
}

/** What may be measured on what, and faults in OHIF; what needs a CT series is skipped without one. */
async function safely({ all, filmSeries, film, slices, ...context }) {
  const { checks, browser, url } = context;
  const ct = all.find(each => each.modality === 'CT' && each.date !== EARLIER);
  const part = (name, body) => checks.part(name, body);
  await part('safety: a stack', () => safety.stack({ ...context, series: filmSeries }));
  await part('safety: brushes', () => safety.brushes({ ...context, series: filmSeries }));
  await part('safety: the light page', () => safety.lightTable({ ...context, series: filmSeries }));
  await part('faults in OHIF: 416 and wrong levels', () => wrongWords({ ...context, series: filmSeries, image: film }));
  if (!slices) return;
  await part('safety: planes of a volume', () => safety.planes({ ...context, series: ct }));
  await part('faults in OHIF: a stack', () => ohifFaults({ ...context, series: ct, image: slices }));
  await part('faults: the line stands still', async () => {
    // Little is fetched ahead: the slices that are turned to are not there.
    context.proxy.holdAfter(Infinity, 6);
    const [ohif, light] = await Promise.all([openStack(browser, url, ct), LightPage.open(browser, url, `?study=${ct.study}`, { viewport: { width: 560, height: 560 } })]);
    await light.opened();
    await stalls({ ...context, ohif, light });
  });
  await part('OHIF: quality by choice', () => quality({ ...context, series: ct }));
}

/** All of the light page; what needs a CT series is skipped without one. */
async function lightPage({ all, filmSeries, slices, ...context }) {
  const { checks } = context;
  const cts = all.filter(each => each.modality === 'CT');
  const ct = cts.find(each => each.date !== EARLIER);
  const part = (name, body) => checks.part(`the light page: ${name}`, body);
  await part('its size', () => shell.size(context));
  await part('a radiograph', () => light.radiograph({ ...context, series: filmSeries }));
  await part('the list', () => lightStudies.list({ ...context, all: [ct ?? filmSeries, filmSeries] }));
  await part('what lies behind a picture', () => lightStudies.behind({ ...context, series: filmSeries }));
  await part('two painters', () => light.painters({ ...context, all: [filmSeries, ...(ct ? [ct] : [])] }));
  await part('what it keeps', () => shell.installed({ ...context, series: filmSeries }));
  await part('for everybody', () => shell.accessible({ ...context, series: filmSeries }));
  if (slices) {
    await part('the first request', () => light.firstRequest({ ...context, series: ct }));
    await part('a CT series on a phone', () => light.volume({ ...context, series: ct }));
    await part('faults', () => faults({ ...context, series: ct }));
    await part('an earlier study beside it', () => lightStudies.priors({ ...context, series: ct, prior: cts.find(each => each.date === EARLIER) }));
    await part('other planes', () => lightStudies.planes({ ...context, series: ct, film: filmSeries }));
    await part('a session', () => session({ ...context, series: ct }));
  }
  await part('Firefox', () => firefox({ ...context, all: [filmSeries, ...(ct ? [ct] : [])] }));
}

async function startPage({ checks, browser, url, series, picture }) {
  const viewer = await Viewer.open(browser, url, '/');
  const find = () => viewer.page.locator('a[href*="/viewer"]').evaluateAll(all => all.map(link => link.href));
  const isThere = links => series.every(each => links.some(link => link.includes(each.study)));
  const linked = await whether(until('links to all studies', find, isThere));
  const links = await find();
  checks.that('it leads to every study in the viewer', linked, `${links.length} links`);
  checks.that('without an error', viewer.troubles.length === 0, viewer.troubles[0]);
  await picture(viewer, 'start');
  await viewer.close();
}

/** Keeps a screenshot, and as a picture of the README where that was asked for. */
async function picture(viewer, name) {
  const path = join(OUT, `${name}.png`);
  await viewer.page.screenshot({ path });
  if (process.argv.includes('--pictures') && PUBLISHED.includes(name)) {
    await mkdir(PICTURES, { recursive: true });
    await copyFile(path, join(PICTURES, `${name}.png`));
  }
}

process.exit(await main());
