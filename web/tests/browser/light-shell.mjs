/** The light page's shell: its size, what it keeps, and whether everybody can use it (WCAG, by axe-core). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { LightPage, PHONE } from './light-page.mjs';
import { whether } from './waiting.mjs';

const DIST = resolve(import.meta.dirname, '..', '..', 'dist', 'light');
/** Bytes of shell and decoder, brotli. */
const LIMIT = 160_000;

export function size({ checks }) {
  const files = readdirSync(DIST, { recursive: true }).filter(path => statSync(join(DIST, path)).isFile() && /\.(html|js|css|wasm)$/.test(path) && !/scalar|sw\.js/.test(path));
  const bytes = files.map(path => [path, brotliCompressSync(readFileSync(join(DIST, path))).length]);
  const total = bytes.reduce((sum, [, size]) => sum + size, 0);
  checks.that('shell and decoder are no larger than 160 kB, all later parts included', total <= LIMIT && files.some(path => path.endsWith('.wasm')), `${(total / 1000).toFixed(1)} kB in ${files.length} files`);
  // What is smaller than a packet is left as it is.
  const beside = bytes.filter(([path]) => path.includes('assets') && statSync(join(DIST, path)).size > 1024).every(([path]) => statSync(join(DIST, `${path}.br`)).size > 0);
  checks.that('and lie there compressed', beside);
}

export async function installed({ checks, browser, url, series }) {
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page, context } = light;
  await light.arrived(0);
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistration('/light/'))?.active?.state === 'activated');
  const { data, errors } = await (await context.newCDPSession(page)).send('Page.getAppManifest');
  checks.that('it has a manifest that a browser can install', data && errors.length === 0 && JSON.parse(data).icons.length === 3, data ? errors.map(({ message }) => message).join() || JSON.parse(data).start_url : 'it is not let in');
  await page.reload();
  await light.arrived(0);
  const patient = (await light.words('patient')).split('\n');
  const kept = await page.evaluate(async () => {
    const all = [];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) all.push([new URL(request.url).pathname + new URL(request.url).search, await (await cache.match(request)).text()]);
    }
    const databases = (await indexedDB.databases?.()) ?? [];
    return { all, storage: JSON.stringify({ ...localStorage, ...sessionStorage }), databases: databases.length };
  });
  const own = kept.all.every(([path]) => /^\/light\/($|assets\/|icon|manifest)/.test(path));
  const named = kept.all.some(([, text]) => patient.some(words => words.length > 3 && text.includes(words)));
  checks.that('it keeps its own files', own && kept.all.some(([path]) => path === '/light/'), `${kept.all.length} files`);
  checks.that('never pictures or names', own && !named && kept.databases === 0 && !patient.some(words => words.length > 3 && kept.storage.includes(words)), kept.storage);
  await context.setOffline(true);
  await page.goto(`${url}/light/`);
  const opens = await whether(page.waitForFunction(() => /Offline|Connection/.test(document.getElementById('found').textContent)));
  checks.that('offline, the page opens and says that it is', opens, await page.textContent('#found').catch(() => 'no page'));
  await light.close();
}

export async function accessible({ checks, browser, url, series }) {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  for (const [name, options] of [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['light, phone', { ...PHONE, colorScheme: 'light' }], ['dark, phone', { ...PHONE, colorScheme: 'dark' }]]) {
    const light = await LightPage.open(browser, url, '', { ...options, bypassCSP: true });
    const { page } = light;
    const found = [];
    const look = async where => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      for (const { id, impact, nodes } of violations) if (impact === 'serious' || impact === 'critical') found.push(`${where}: ${id} at ${nodes[0].target.join(' ')}`);
    };
    await page.waitForSelector('#studies li');
    await look('list');
    await page.goto(`${url}/light/?study=${series.study}`);
    await light.arrived(0);
    await look('study');
    await page.click('#menu summary');
    await look('menu');
    if (!options.isMobile) {
      await page.click('#menu [data-do=help]');
      await page.waitForSelector('#dialog .help');
      await look('help');
      await page.keyboard.press('Escape');
      await page.waitForSelector('#dialog', { state: 'hidden' });
      await light.menu('header');
      await page.waitForSelector('#dialog td');
      await look('header');
      await page.keyboard.press('Escape');
      await page.waitForSelector('#dialog', { state: 'hidden' });
      await page.keyboard.press('2');
      await look('two images');
    }
    checks.that(`axe-core finds nothing serious or critical (${name})`, found.length === 0, found.slice(0, 4).join('; '));
    await light.close();
  }
}
