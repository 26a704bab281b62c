/** Signing in with a browser: who has no session is led to the form, who has one sees what they may, and a link shows its study to whoever has it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Archive } from './archive.mjs';
import { LightPage, PHONE } from './light-page.mjs';
import { makeDocument, makeLossy } from './made.mjs';

const [NAME, PASSWORD] = ['ana', 'early morning light'];

export async function signIn({ checks, browser, picture }) {
  const folder = await mkdtemp(join(tmpdir(), 'firstlight-made-'));
  const [seen, other] = [await makeLossy(join(folder, 'seen.dcm')), await makeDocument(join(folder, 'other.dcm'), 6, 0)];
  const archive = await Archive.guarded([folder]);
  try {
    await archive.command(['user', 'add', NAME, '--may', 'read', '--only', `study=${seen}`], `${PASSWORD}\n`);
    await session({ checks, browser, url: archive.url, seen, other, picture });
    const link = (await archive.command(['share', seen, '--name', 'Dr. Roe', '--public-url', archive.url])).trim();
    await shared({ checks, browser, link, seen, picture });
  } finally {
    await archive.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const path = page => new URL(page.url()).pathname;

/** The status of an address, as the page itself gets it. */
const status = (page, address) => page.evaluate(address => fetch(address, { headers: { Accept: 'application/dicom+json, application/json' } }).then(({ status }) => status), address);

async function session({ checks, browser, url, seen, other, picture }) {
  const light = await LightPage.open(browser, url, `?study=${seen}`);
  const { page, context } = light;
  const form = page.locator('input[name=password]');
  await form.waitFor();
  checks.that('without a session the light page leads to the sign-in', path(page) === '/sign-in', page.url().slice(url.length));
  const send = async password => {
    await page.fill('input[name=name]', NAME);
    await page.fill('input[name=password]', password);
    const asked = page.waitForRequest(request => request.method() === 'POST' && request.url().endsWith('/sign-in'));
    await page.keyboard.press('Enter');
    return (await asked).allHeaders();
  };
  await send('a guess');
  const refused = await page.locator('[role=alert]').textContent();
  checks.that('a wrong password is told of, and lets nobody in', /Name or password is wrong/.test(refused) && path(page) === '/sign-in' && (await context.cookies()).length === 0, refused);
  await picture({ page }, 'sign-in');
  const { origin = 'none' } = await send(PASSWORD);
  await light.arrived(0);
  await light.kept();
  checks.that('name and password lead to the study that was asked for', page.url() === `${url}/light/?study=${seen}`, `the form came from origin ${origin}`);
  const cookies = await context.cookies();
  checks.that('by a cookie that no script and no other site has', cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === 'Strict', cookies.map(({ name }) => name).join());

  await page.goto(`${url}/light/`);
  await page.waitForSelector('#studies li');
  const listed = await page.locator('#studies a').evaluateAll(links => links.map(link => link.dataset.study));
  checks.that('the list shows what one may see, and nothing else', listed.join() === seen, listed.join());
  await page.goto(`${url}/light/?study=${other}`);
  const said = await page.locator('.viewport .sentence').filter({ hasText: /\S{3}/ }).filter({ hasNotText: 'Loading' }).textContent();
  checks.that('another study is one that is not there', /not in the archive/.test(said), said);

  await page.goto(`${url}/`);
  await page.click('#sign-out button');
  await form.waitFor();
  checks.that('signing out ends it', path(page) === '/sign-in' && (await status(page, '/dicom-web/studies')) === 401 && (await context.cookies()).length === 0, page.url().slice(url.length));
  // The browser has kept the page: that it is empty is not enough.
  await page.goto(`${url}/light/`, { waitUntil: 'commit' });
  await form.waitFor();
  checks.that('and the way back leads to the form', path(page) === '/sign-in', page.url().slice(url.length));
  await light.close();
}

async function shared({ checks, browser, link, seen, picture }) {
  const light = await LightPage.openAt(browser, link, PHONE);
  const { page } = light;
  await light.arrived(0);
  const whose = await light.words('patient');
  checks.that('a link opens its study on a phone', page.url().startsWith(link) && /Made/.test(whose), whose.replaceAll('\n', ', '));
  checks.that('it fits the screen, and the name of who has it stands there', await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.getElementById('views').dataset.link === 'Dr. Roe'));
  await picture({ page }, 'light-link-phone');
  const listed = await page.evaluate(link => fetch(`${link}dicom-web/studies`, { headers: { Accept: 'application/dicom+json' } }).then(answer => answer.json()), link);
  checks.that('it shows its study and nothing else', listed.map(row => row['0020000D'].Value[0]).join() === seen, `${listed.length} studies`);
  checks.that('and lets nobody in beside it', (await status(page, '/dicom-web/studies')) === 401);
  checks.that('without an error', light.unexpected(/401/).length === 0, light.unexpected(/401/)[0]);
  await light.close();
}
