/** Consultation on the light page: two windows on one session see each other's image, zoom, window, pointer and marks, and nothing else passes. */
import { LightPage, PHONE } from './light-page.mjs';
import { whether } from './waiting.mjs';

/** Waits until the line of the session says so, and gives its words as they were then; those that there are, where it never does. */
async function told(light, pattern) {
  const seen = source => [document.getElementById('session').textContent].find(words => new RegExp(source).test(words));
  return light.page.waitForFunction(seen, pattern.source).then(handle => handle.jsonValue(), () => light.page.textContent('#session'));
}

export async function session({ checks, browser, url, series, picture }) {
  const first = await LightPage.open(browser, url, `?study=${series.study}`);
  const opened = await first.opened();
  await first.kept();
  await first.menu('share');
  const link = await first.page.inputValue('#link').catch(() => '');
  if (!checks.that('sharing gives a link', /\/light\/\?study=[\d.]+&session=[\w-]{22}$/.test(link), link.replace(/.*\/light/, '/light'))) return first.close();
  await first.page.keyboard.press('Escape');
  await first.drag('line');

  const posted = [];
  first.page.on('request', request => request.method() === 'POST' && posted.push(request.postData() ?? ''));
  const second = await LightPage.open(browser, url, new URL(link).search, PHONE);
  await second.arrived(0);
  const [there, here] = await Promise.all([told(second, /2 participants/), told(first, /2 participants/)]);
  checks.that('each sees how many there are', /2 participants/.test(there) && /2 participants/.test(here), here);
  const foreign = count => whether(second.page.waitForFunction(count => window.firstlight.marks().filter(({ foreign }) => foreign).length === count, count));
  await foreign(1);
  const marks = [(await first.marks())[0], (await second.marks())[0]];
  checks.that('who comes later has the marks', marks[1]?.foreign && marks[1].kind === 'line' && Math.abs(marks[0].points[1].x - marks[1].points[1].x) < 0.02, JSON.stringify(marks[1]));

  const from = Number(opened.index);
  const { instance } = await first.turn([...Array(7).fill('ArrowDown'), '+', 'i'], from + 7);
  const follows = (light, { instance }) => whether(light.shows({ instance }));
  checks.that('the other goes to the same image', await follows(second, { instance }));
  const alike = () => window.firstlight.tone()?.inverted === true && Math.abs(window.firstlight.view().zoom - 1.25) < 0.01;
  checks.that('with its zoom and its window', await whether(second.page.waitForFunction(alike)));
  await second.arrived(0);
  await picture({ page: second.page }, 'light-session-phone');

  const box = await first.page.locator('.viewport .place').boundingBox();
  await first.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 3 });
  const points = () => [window.firstlight.pointers()[0]].find(pointer => pointer && Math.abs(pointer.at.x - 256) < 3);
  const pointer = await second.page.waitForFunction(points).then(handle => handle.jsonValue(), () => undefined);
  const middle = await first.page.evaluate(() => window.firstlight.view().pan.x === 0);
  checks.that('and sees where the first one points', middle && pointer?.name === 'Participant 1', JSON.stringify(pointer));

  await second.page.tap('#session button');
  const presents = await told(first, /participant 2 presents/);
  checks.that('who presents is told', /participant 2 presents/.test(presents), presents);
  const before = (await second.state()).instance;
  const alone = await first.turn('ArrowDown', from + 8);
  // What the first one draws now comes to the second after anything that was told before it.
  await first.drag('line');
  checks.that('while somebody presents, others look around alone', (await foreign(2)) && (await second.state()).instance === before && alone.instance !== before);
  checks.that('and the presenter is followed', await follows(first, await second.turn('End', Object.keys(series.levels).length - 1)));

  // A line that is lost: the session goes on when it is back.
  await first.context.setOffline(true);
  await first.context.setOffline(false);
  checks.that('after a lost line it goes on', await follows(first, await second.turn('Home', 0)));
  const sent = posted.map(text => JSON.parse(text));
  const shape = sent.every(({ event, data, ...rest }) => Object.keys(rest).length === 0 && ['view', 'pointer', 'mark', 'unmark', 'presenter'].includes(event) && JSON.stringify(data).length < 1000);
  const patient = (await first.words('patient')).split('\n')[0].split(',')[0];
  checks.that('no picture and no name passes', shape && !posted.join().includes(patient), `${posted.length} events, ${Math.max(...posted.map(text => text.length))} bytes at most`);
  checks.that('without an error', [first, second].every(light => light.unexpected(/Failed to load resource/, /net::ERR/).length === 0), [...first.troubles, ...second.troubles][0]);
  await first.close();
  await second.close();

  const late = await LightPage.open(browser, url, `?study=${series.study}&session=AAAAAAAAAAAAAAAAAAAAAA`);
  const over = await told(late, /over/);
  checks.that('a session that is over says so', over === 'This session is over.', over);
  await late.close();
}
