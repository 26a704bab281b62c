/** The light page, on a shaped line: a level at a time, safe to measure on, alike with and without WebGL, at a phone's size too. */
import { LightPage, PHONE } from './light-page.mjs';
import { behind, until } from './waiting.mjs';

/** Draws a length across the middle, and gives the lengths that stand there when they have been drawn. */
async function drawn(light) {
  await light.drag('line');
  await light.page.waitForFunction(() => window.firstlight.lengths().length > 0 && window.firstlight.lengths().every(Boolean));
  return light.page.evaluate(() => window.firstlight.lengths());
}

const at = ({ width, height, pixels }, x, y) => pixels[Math.floor(height * y) * width + Math.floor(width * x)];

/** Greys of a picture on a grid. */
function grid(picture) {
  const out = [];
  for (let y = 1; y < 12; y++) for (let x = 1; x < 12; x++) out.push(at(picture, x / 12, y / 12));
  return out;
}

export async function radiograph({ checks, browser, proxy, url, series, picture }) {
  const before = proxy.bytes;
  // The line stops in the middle of the finest level but one: what stands there is a preview.
  const [{ frames }] = Object.values(series.levels);
  proxy.holdAfter(behind(frames[0].ends, 1));
  const light = await LightPage.open(browser, url, `?study=${series.study}`);
  const { page } = light;
  const { level: preview, words } = await light.shows({ level: 1 }, { quality: /^Preview/ });
  const sent = proxy.bytes - before;
  checks.that('a coarse level shows before the image is there', Number(preview) > 0, `level ${preview} after ${sent} bytes, page and decoder included`);
  checks.that('it says that it is a preview', words.quality.startsWith('Preview'), words.quality);
  await picture({ page }, 'light-preview');
  const early = await drawn(light);
  await light.drag('ellipse', [60, 40]);
  await light.drag('point');
  const waiting = (await light.marks()).filter(({ kind }) => kind === 'ellipse' || kind === 'point');
  checks.that('statistics and values are refused on a preview, and the pointer says why', waiting.length === 2 && waiting.every(({ words }) => words === undefined) && (await light.words('hint')).includes('preview'), await light.words('hint'));
  proxy.release();
  await light.arrived(0);
  const marks = await light.measured();
  const [measured, value] = ['ellipse', 'point'].map(wanted => marks.find(({ kind }) => kind === wanted));
  checks.that('they come by themselves when the image is complete', (measured?.words ?? '').startsWith('mean ') && /^\d+$/.test(value?.words ?? ''), `${measured?.words}; ${value?.words}`);
  await picture({ page }, 'light-measured');
  await page.click('#reset');
  const late = await drawn(light);
  checks.that('a length on the preview is the length on the full image', early.length === 1 && early[0] === late[0], `${early[0]} and ${late[0]}`);
  await light.drag('ellipse', [60, 40]);
  await light.drag('point');
  const again = await light.measured();
  const [statistics, level] = ['ellipse', 'point'].map(wanted => again.find(({ kind }) => kind === wanted)?.words);
  checks.that('and so are the statistics and the value that waited', statistics === measured?.words && level === value?.words, `${statistics}; ${level}`);
  await page.click('#reset');
  checks.that('complete, it says nothing', (await light.words('quality')) === '');
  checks.that('"Not for diagnosis" stands there', await page.locator('#notice').isVisible());
  const size = await light.pixels();
  const rendered = await page.evaluate(
    async ([path, wide, high]) => {
      const image = new Image();
      const response = await fetch(`/dicom-web${path}`, { headers: { Accept: 'image/png' } });
      image.src = URL.createObjectURL(await response.blob());
      await image.decode();
      const by = Math.min(wide / image.width, high / image.height);
      const [width, height] = [image.width * by, image.height * by];
      const other = Object.assign(document.createElement('canvas'), { width: wide, height: high });
      const context = other.getContext('2d');
      context.fillRect(0, 0, other.width, other.height);
      context.imageSmoothingQuality = 'high';
      context.drawImage(image, (wide - width) / 2, (high - height) / 2, width, height);
      return { width: wide, height: high, pixels: [...context.getImageData(0, 0, wide, high).data].filter((_, n) => n % 4 === 0) };
    },
    [`${series.path}/instances/${Object.keys(series.levels)[0]}/rendered`, size.width, size.height]
  );
  const far = grid(size).map((grey, n) => Math.abs(grey - grid(rendered)[n]));
  checks.that("its greys are those of the server's rendering", Math.max(...far) <= 3, `differences up to ${Math.max(...far)}`);
  checks.that('without an error', light.troubles.length === 0, light.troubles[0]);
  await picture({ page }, 'light-radiograph');
  await light.close();
}

/** The first frame is asked for as soon as one answer names it; the metadata of its series come beside. */
export async function firstRequest({ checks, browser, url, series }) {
  const sent = [];
  let answer;
  const held = new Promise(resolve => (answer = resolve));
  const light = await LightPage.open(browser, url, `?study=${series.study}`, {}, async page => {
    page.on('request', request => request.url().includes('/dicom-web/') && sent.push(new URL(request.url()).pathname.replace(/[\d.]{20,}/g, '*')));
    await page.route(/\/metadata$/, async route => {
      await held;
      await route.continue();
    });
  });
  await light.page.waitForFunction(() => document.querySelector('.viewport')?.dataset.level);
  await until('four questions', () => sent.length, count => count >= 4);
  checks.that('the first question is the document of the first picture', sent[0] === '/dicom-web/studies/*/first', sent.slice(0, 3).join(' '));
  const [next, ...beside] = sent.slice(1, 4);
  checks.that('the second is for its frame, and beside it those for the metadata and levels of its series', next === '/dicom-web/studies/*/series/*/instances/*/frames/1' && beside.join(' ') === '/dicom-web/studies/*/series/*/metadata /dicom-web/studies/*/series/*/levels', sent.slice(1, 4).join(' '));
  checks.that('it is shown before the metadata of the series are there', (await light.state()).level !== '', `level ${(await light.state()).level}`);
  answer();
  const counted = await light.says('index', /\/ \d+$/);
  checks.that('and counted when they are', /^\d+ \/ \d+$/.test(counted), counted);
  await light.close();
  // A server of before: the same page, one round trip later.
  const older = await LightPage.open(browser, url, `?study=${series.study}`, {}, page => page.route(/\/first(\?|$)/, route => route.fulfill({ status: 404, body: 'no such resource' })));
  const { index } = (await older.opened()).words;
  checks.that('a server without that document is asked as others are', /^\d+ \/ \d+$/.test(index), index);
  await older.close();
}

/** One picture by two painters. */
export async function painters({ checks, browser, url, all }) {
  for (const series of all) {
    const seen = {};
    for (const kind of ['webgl2', '2d']) {
      const light = await LightPage.open(browser, url, `?study=${series.study}&paint=${kind}`, { viewport: { width: 700, height: 560 } });
      await light.opened();
      const kindOf = await light.page.evaluate(() => window.firstlight.painter());
      if (kindOf !== kind) {
        checks.skip(`${series.modality} by ${kind}`, `this browser paints with ${kindOf}`);
        await light.close();
        return;
      }
      seen[kind] = [await light.pixels()];
      // A narrow window, inverted, and zoomed so far that pixels are seen.
      await light.drag('window', [-80, 10]);
      await light.page.keyboard.press('i');
      seen[kind].push(await light.pixels());
      for (let n = 0; n < 12; n++) await light.page.keyboard.press('+');
      seen[kind].push(await light.pixels());
      await light.close();
    }
    const far = seen.webgl2.map((picture, n) => picture.pixels.reduce((most, grey, at) => Math.max(most, Math.abs(grey - seen['2d'][n].pixels[at])), 0));
    checks.that(`${series.modality}: WebGL2 and canvas show the same, within one grey level`, Math.max(...far) <= 1, `differences up to ${far.join(', ')} as stored, windowed, zoomed`);
  }
}

export async function volume({ checks, browser, proxy, url, series, picture }) {
  const light = await LightPage.open(browser, url, `?study=${series.study}`, PHONE);
  const { page } = light;
  const opened = await light.opened();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight && document.getElementById('menu').getBoundingClientRect().right <= innerWidth);
  checks.that('it fits the screen of a phone', wide);
  const from = Number(opened.index);
  const { index: shown, words } = await light.turn(Array(30).fill('ArrowDown'), from + 30).then(() => light.shows({ index: from + 30, level: 0 }, { index: /./ }));
  checks.that('thirty keys are thirty slices', Number(shown) === from + 30, `${from} to ${shown}`);
  checks.that('the index on the image is that slice', words.index.startsWith(`${from + 31} /`), words.index);
  await picture({ page }, 'light-phone');
  await touch({ checks, light });
  // The line stands still: the page says so and goes on by itself. The last slice is farther away than memory lets it fetch ahead.
  proxy.hold();
  const last = Object.keys(series.levels).length - 1;
  const waiting = await light.turn('End', last).then(() => light.shows({ index: last }, { quality: /^/ }));
  checks.that('a slice that is not there yet is not another one: it says so', waiting.words.quality !== '' && waiting.level !== '0', waiting.words.quality);
  const silent = await light.says('quality', /Nothing has come for \d+ s/);
  checks.that('a line that stands still is told of', silent !== '', silent);
  proxy.release();
  checks.that('it goes on when the line does', (await light.complete(last)).words.quality === '');
  const memory = await page.evaluate(() => window.firstlight.memory());
  checks.that('images, decoder and canvases are within the budget of a phone', memory.images <= 24 << 20 && memory.images + memory.workers + memory.canvases <= 80 << 20, JSON.stringify(memory));
  checks.that('without an error', light.troubles.length === 0, light.troubles[0]);
  await light.close();
}

/** Two fingers apart zoom; one scrolls with the tool that was chosen. */
async function touch({ checks, light }) {
  const { page } = light;
  const session = await light.context.newCDPSession(page);
  const send = (type, ...points) => session.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const zoom = () => page.evaluate(() => window.firstlight.view().zoom);
  const before = await zoom();
  await send('touchStart', [150, 400], [240, 400]);
  for (let n = 1; n <= 5; n++) await send('touchMove', [150 - 10 * n, 400], [240 + 10 * n, 400]);
  await send('touchEnd');
  checks.that('two fingers apart make it larger', (await zoom()) > before * 1.5, `${before} to ${(await zoom()).toFixed(2)}`);
  await page.tap('#reset');
  await page.tap('[data-tool=scroll]');
  const { index } = await light.state();
  await send('touchStart', [195, 300]);
  for (let n = 1; n <= 6; n++) await send('touchMove', [195, 300 + 15 * n]);
  await send('touchEnd');
  const { index: after } = await light.state();
  checks.that('one finger scrolls, with the tool for it', Number(after) > Number(index), `${index} to ${after}`);
}
