#!/usr/bin/env node
/**
 * Stock OHIF in Chromium against the real server, through a proxy that makes a line of 30 Mbit/s and 10 ms.
 *
 *     npm run test:browser [-- --pictures]
 *
 * FIRSTLIGHT_BIN names the server (default: the debug build, else the release build), FIRSTLIGHT_VIEWER the unpacked OHIF,
 * FIRSTLIGHT_URL a server that runs already and has the images. Screenshots go to tests/out; `--pictures` copies those
 * of the README to docs/images.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ShapingProxy } from '../shaping-proxy.mjs';
import { Archive } from './archive.mjs';
import { Checks } from './checks.mjs';
import { images } from './images.mjs';
import * as radiograph from './radiograph.mjs';
import { launch, Viewer } from './viewer.mjs';
import * as volume from './volume.mjs';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const OUT = join(ROOT, 'web', 'tests', 'out');
const PICTURES = join(ROOT, 'docs', 'images');

async function main() {
  const checks = new Checks();
  const { radiograph: film, series: slices } = images();
  if (!film) checks.skip('everything', 'neither ../shared nor the samples of `make samples` are there');
  if (!slices) checks.skip('the CT series', 'it is in ../shared, which is not there');
  if (film && !film.over2000) console.log('note: the radiograph is the sample of 1955 x 1841; the larger one is in ../shared');
  if (!film) return checks.close();

  const archive = await Archive.start([film, slices].filter(Boolean).map(each => each.path), 1 + (slices?.slices ?? 0));
  const proxy = new ShapingProxy({ port: archive.port, mbit: 30, delay: 10 });
  const browser = await launch();
  try {
    await mkdir(OUT, { recursive: true });
    const url = `http://127.0.0.1:${await proxy.listen()}`;
    const all = await archive.series();
    const context = { checks, browser, proxy, url, picture };
    const filmSeries = all.find(each => each.modality !== 'CT');
    await checks.part('a radiograph', () => radiograph.loads({ ...context, series: filmSeries, image: film }));
    await checks.part('a preview of it', () => radiograph.isLocked({ ...context, series: filmSeries }));
    proxy.release();
    await checks.part('an object that changes while it is loaded', () => radiograph.survives({ ...context, series: filmSeries, image: film }));
    if (slices) {
      const ctSeries = all.find(each => each.modality === 'CT');
      await checks.part('a CT series in MPR', () => volume.fills({ ...context, series: ctSeries, image: slices }));
    }
    await checks.part('the start page', () => startPage({ ...context, series: all }));
  } finally {
    await browser.close();
    proxy.close();
    await archive.stop();
  }
  return checks.close();
}

async function startPage({ checks, browser, url, series, picture }) {
  const viewer = await Viewer.open(browser, url, '/');
  await viewer.page.waitForLoadState('networkidle');
  const links = await viewer.page.locator('a[href*="/viewer"]').evaluateAll(all => all.map(link => link.href));
  const linked = series.every(each => links.some(link => link.includes(each.study)));
  checks.that('it leads to every study in the viewer', linked, `${links.length} links`);
  checks.that('without an error', viewer.troubles.length === 0, viewer.troubles[0]);
  await picture(viewer, 'start');
  await viewer.close();
}

/** Keeps a screenshot, and as a picture of the README where that was asked for. */
async function picture(viewer, name) {
  const path = join(OUT, `${name}.png`);
  await viewer.page.screenshot({ path });
  if (process.argv.includes('--pictures')) {
    await mkdir(PICTURES, { recursive: true });
    await copyFile(path, join(PICTURES, `${name}.png`));
  }
}

process.exit(await main());
