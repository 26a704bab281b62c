/** Consultation on the light page: two windows on one session see each other's image, zoom, window, pointer and marks, and nothing else passes. */
import { LightPage, PHONE } from './light-page.mjs';

export async function session({ checks, browser, url, series, picture }) {
  const first = await LightPage.open(browser, url, `?study=${series.study}`);
  await first.arrived(0);
  await first.says('index', /\/ \d+$/);
  await first.menu('share');
  await first.page.waitForSelector('#link').catch(() => undefined);
  const link = await first.page.inputValue('#link').catch(() => '');
  if (!checks.that('sharing gives a link', /\/light\/\?study=[\d.]+&session=[\w-]{22}$/.test(link), link.replace(/.*\/light/, '/light'))) return first.close();
  await first.page.keyboard.press('Escape');
  await first.drag('line');

  const posted = [];
  first.page.on('request', request => request.method() === 'POST' && posted.push(request.postData() ?? ''));
  const second = await LightPage.open(browser, url, new URL(link).search, PHONE);
  await second.arrived(0);
  await second.page.waitForFunction(() => /2 participants/.test(document.getElementById('session').textContent), null, { timeout: 20_000 });
  checks.that('each sees how many there are', /2 participants/.test(await first.page.textContent('#session')), await first.page.textContent('#session'));
  await second.page.waitForFunction(() => window.firstlight.marks().some(({ foreign }) => foreign), null, { timeout: 10_000 }).catch(() => undefined);
  const marks = [(await first.marks())[0], (await second.marks())[0]];
  checks.that('who comes later has the marks', marks[1]?.foreign && marks[1].kind === 'line' && Math.abs(marks[0].points[1].x - marks[1].points[1].x) < 0.02, JSON.stringify(marks[1]));

  await first.page.focus('.viewport .place');
  const from = Number((await first.state()).index);
  for (let n = 0; n < 7; n++) await first.page.keyboard.press('ArrowDown');
  await first.page.keyboard.press('+');
  await first.page.keyboard.press('i');
  await first.at(from + 7);
  const { instance } = await first.state();
  const follows = (light, instance) => light.page.waitForFunction(instance => document.querySelector('.viewport').dataset.instance === instance, instance, { timeout: 20_000 }).then(() => true, () => false);
  checks.that('the other goes to the same image', await follows(second, instance));
  await second.page.waitForFunction(() => window.firstlight.tone()?.inverted && window.firstlight.view().zoom > 1, null, { timeout: 10_000 }).catch(() => undefined);
  checks.that('with its zoom and its window', await second.page.evaluate(() => window.firstlight.tone().inverted && Math.abs(window.firstlight.view().zoom - 1.25) < 0.01));
  await second.arrived(0);
  await picture({ page: second.page }, 'light-session-phone');

  const box = await first.page.locator('.viewport .place').boundingBox();
  await first.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 3 });
  await second.page.waitForFunction(() => Math.abs((window.firstlight.pointers()[0]?.at.x ?? 0) - 256) < 3, null, { timeout: 10_000 }).catch(() => undefined);
  const [pointer] = await second.page.evaluate(() => window.firstlight.pointers());
  const middle = await first.page.evaluate(() => window.firstlight.view().pan.x === 0);
  checks.that('and sees where the first one points', middle && Math.abs((pointer?.at.x ?? 0) - 256) < 3 && pointer.name === 'Participant 1', JSON.stringify(pointer));

  await second.page.tap('#session button');
  await first.page.waitForFunction(() => /participant 2 presents/.test(document.getElementById('session').textContent), null, { timeout: 10_000 }).catch(() => undefined);
  checks.that('who presents is told', /participant 2 presents/.test(await first.page.textContent('#session')), await first.page.textContent('#session'));
  const before = (await second.state()).instance;
  await first.page.focus('.viewport .place');
  await first.page.keyboard.press('ArrowDown');
  await first.page.waitForTimeout(400);
  checks.that('while somebody presents, others look around alone', (await second.state()).instance === before && (await first.state()).instance !== before);
  await second.page.focus('.viewport .place');
  await second.page.keyboard.press('End');
  await second.at(Object.keys(series.levels).length - 1);
  checks.that('and the presenter is followed', await follows(first, (await second.state()).instance));

  // A line that is lost: the session goes on when it is back.
  await first.context.setOffline(true);
  await first.context.setOffline(false);
  await second.page.keyboard.press('Home');
  await second.at(0);
  checks.that('after a lost line it goes on', await follows(first, (await second.state()).instance));
  const sent = posted.map(text => JSON.parse(text));
  const shape = sent.every(({ event, data, ...rest }) => Object.keys(rest).length === 0 && ['view', 'pointer', 'mark', 'unmark', 'presenter'].includes(event) && JSON.stringify(data).length < 1000);
  const patient = (await first.words('patient')).split('\n')[0].split(',')[0];
  checks.that('no picture and no name passes', shape && !posted.join().includes(patient), `${posted.length} events, ${Math.max(...posted.map(text => text.length))} bytes at most`);
  checks.that('without an error', [first, second].every(light => light.unexpected(/Failed to load resource/, /net::ERR/).length === 0), [...first.troubles, ...second.troubles][0]);
  await first.close();
  await second.close();

  const late = await LightPage.open(browser, url, `?study=${series.study}&session=AAAAAAAAAAAAAAAAAAAAAA`);
  await late.page.waitForFunction(() => /over/.test(document.getElementById('session').textContent), null, { timeout: 20_000 }).catch(() => undefined);
  checks.that('a session that is over says so', (await late.page.textContent('#session')) === 'This session is over.', await late.page.textContent('#session'));
  await late.close();
}
