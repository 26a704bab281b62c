/** What was measured, as tables, and a line for each bar. */
import { median } from './results.mjs';
import { LINES } from './openings.mjs';

/** Decode and draw, in ms: the least seen between the last byte and the picture. */
const DRAW = { dx: 150, mg: 80, mgbig: 80, ct143: 60, ct500: 60 };

/** kB of the light page and its decoder with brotli: its budget is 160. */
const SHELL = 112;

export function table(rows, sites) {
  const of = (key, pick) => median(rows.filter(row => Object.entries(key).every(([name, value]) => row[name] === value)).map(pick));
  const images = [...group(rows.filter(row => row.part === 'image'))];
  heading('Radiographs: ms from the click, medians', ['case', 'line', 'site', 'runs', 'request', 'pixels', 'useful', 'kB', 'complete', 'load']);
  for (const [, each] of images) line(each, [row => row.request, row => row.pixels?.ms, row => row.useful?.ms, row => row.useful?.kB, row => row.complete?.ms, row => row.load]);
  const volumes = [...group(rows.filter(row => row.part === 'volume'))];
  heading('CT in MPR: ms from the click, medians', ['case', 'line', 'site', 'runs', 'request', 'covered', 'useful', 'kB needed', 'complete', 'load']);
  for (const [, each] of volumes) line(each, [row => row.request, row => row.covered?.ms, row => row.useful?.ms, row => row.needed?.kB, row => row.complete?.ms, row => row.load]);
  heading('The same with drawing switched off', ['case', 'line', 'site', 'runs', 'request', 'covered', 'values of its own', 'complete', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'undrawn'))) line(each, [row => row.request, row => row.covered, row => row.own, row => row.complete, row => row.load]);
  heading('CT stack: the slice that the user jumps to, ms after the jump', ['case', 'line', 'site', 'runs', 'first', 'useful', 'complete', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'jump'))) line(each, [row => row.jump?.first, row => row.jump?.useful, row => row.jump?.complete, row => row.load]);
  heading('500 slices at 20 a second', ['case', 'line', 'site', 'runs', 'visits', 'within 100 ms', 'never', 'median ms', 'kB', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'scroll'))) line(each, [row => row.visits, row => row.within100, row => row.never, row => row.median, row => row.kB, row => row.load]);
  heading('Prefetch', ['case', 'line', 'site', 'runs', 'hits', 'misses', 'kB', 'wasted kB', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'prefetch'))) line(each, [row => row.prefetch?.hits, row => row.prefetch?.misses, row => row.prefetch?.ahead / 1000, row => row.prefetch?.wasted / 1000, row => row.load]);
  heading('Cold, by direct link: ms from the click', ['case', 'line', 'site', 'runs', 'first light', 'useful', 'kB', 'OHIF ready', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'cold'))) line(each, [row => row.light?.ms, row => row.useful?.ms, row => row.useful?.kB, row => row.ready?.ms, row => row.load]);
  heading('The light page on a phone, cold', ['case', 'line', 'site', 'runs', 'useful', 'kB', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'phone'))) line(each, [row => row.useful?.ms ?? row.ms, row => row.useful?.kB, row => row.load]);
  heading('500 slices under a finger, on a phone', ['case', 'line', 'site', 'runs', 'images a second', 'slices', 'coarser', 'longest gap ms', 'kB', 'MB', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'passing'))) line(each, [row => row.perSecond, row => row.slices, row => row.coarser, row => row.longestGap, row => row.kB, row => row.memory?.all, row => row.load]);
  heading('An hour of images on a phone', ['case', 'line', 'site', 'runs', 'images', 'MB at the peak', 'growth', 'load']);
  for (const [, each] of group(rows.filter(row => row.part === 'hour'))) line(each, [row => row.images, row => row.peak, row => row.growth, row => row.load]);
  console.log();
  for (const [, [{ case: name, line: speed }]] of images) if (!bars.done.has(`${name} ${speed}`)) bars.image(of, name, speed, sites);
  for (const [, [{ case: name, line: speed }]] of volumes) if (!bars.done.has(`${name} ${speed}`)) bars.volume(of, name, speed);
  bars.undrawn(of, rows);
  bars.jump(of, rows);
  bars.scroll(of, rows);
  bars.cold(of, rows);
  bars.passing(of, rows);
}

function group(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = [row.case, row.line, row.site].join(' ');
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return new Map([...groups].sort(([a], [b]) => a.localeCompare(b)));
}

function heading(title, columns) {
  console.log(`\n${title}\n\n| ${columns.join(' | ')} |\n|${columns.map(() => '---').join('|')}|`);
}

function line(rows, picks) {
  const { case: name, line: speed, site } = rows[0];
  const cells = picks.map(pick => median(rows.map(pick))).map(value => (value === undefined ? 'nothing shown' : String(Math.round(value * 100) / 100)));
  console.log(`| ${name} | ${speed} | ${site} | ${rows.length} | ${cells.join(' | ')} |`);
}

/** One line: `goal` is `>= 3` or `<= 1.05`. What a baseline did not show is said, and no bar. */
function bar(name, value, goal) {
  const [sign, number] = goal.split(' ');
  if (!Number.isFinite(value)) return console.log(`bar ${name} not measured ${goal} short`);
  const good = sign === '>=' ? value >= Number(number) : value <= Number(number);
  console.log(`bar ${name} ${value.toFixed(2)} ${goal} ${good ? 'ok' : 'short'}`);
}

const bars = {
  done: new Set(),

  image(of, name, speed, sites) {
    this.done.add(`${name} ${speed}`);
    const at = (site, pick) => of({ part: 'image', case: name, line: speed, site }, pick);
    const [a, b, c] = ['a', 'b', 'c'].map(site => ({ useful: at(site, row => row.useful?.ms), after: at(site, row => row.useful && row.useful.ms - row.request), complete: at(site, row => row.complete?.ms), request: at(site, row => row.request) }));
    const bar_ = (what, value, goal) => bar(`viewer-${name}-${speed}-${what}`, value, goal);
    const small = name === 'mg';
    // A baseline that was not run is another thing: its bars stay open.
    const [noA, noB] = [a, b].map(({ request, useful }) => request !== undefined && useful === undefined);
    for (const site of [...(noA ? ['a'] : []), ...(noB ? ['b'] : [])]) console.log(`note ${name} ${speed}: (${site}) shows nothing; held against the limit alone`);
    if (!noB) bar_('useful-to-b', b.useful / c.useful, speed === '4g' ? `>= ${small ? 2 : 3}` : `>= ${small ? 4 : 8}`);
    if (!noA) {
      bar_('useful-to-a', a.useful / c.useful, speed === '4g' ? '>= 1.5' : '>= 1');
      bar_('useful-to-a-from-request', a.after / c.after, '>= 1.5');
    }
    bar_('request-to-a', c.request / a.request, '<= 1');
    const series = sites.c?.series[name];
    const drawn = at('c', row => row.drawn);
    const end = series && usefulEnd(series, drawn);
    if (end) {
      const limit = 2 * LINES[speed][1] + (end * 8) / (LINES[speed][0] * 1000) + DRAW[name];
      bar_('to-limit', c.after / Math.max(limit, (limit + 100) / 1.3), '<= 1.3');
    }
    bar_('bytes-to-level', at('c', row => row.needed && row.needed.kB / row.needed.end), '<= 1.1');
    if (!noA) bar_('complete-to-a', c.complete / a.complete, '<= 1.05');
    if (!noB && sites.b && series) bar_('complete-to-b', c.complete / (b.complete * (series.bytes / sites.b.series[name].bytes)), '<= 1.05');
  },

  volume(of, name, speed) {
    this.done.add(`${name} ${speed}`);
    const at = (site, pick) => of({ part: 'volume', case: name, line: speed, site }, pick);
    const bar_ = (what, value, goal) => bar(`viewer-mpr-${name}-${speed}-${what}`, value, goal);
    const base = row => (speed === '4g' ? row.request : 0);
    bar_('covered-to-b', at('b', row => row.complete?.ms) / at('c', row => row.covered?.ms), '>= 4');
    bar_('useful-to-b', at('b', row => row.useful && row.useful.ms - base(row)) / at('c', row => row.useful && row.useful.ms - base(row)), '>= 2.5');
    bar_('bytes-to-b', at('c', row => row.needed?.kB) / at('b', row => row.needed?.kB), '<= 0.35');
    bar_('complete-to-a', at('c', row => row.complete?.ms) / at('a', row => row.complete?.ms), '<= 1.05');
  },

  /** Without drawing there is no picture to compare: values of its own in every slice stand for the useful one. */
  undrawn(of, rows) {
    for (const [name, speed] of [...new Set(rows.filter(row => row.part === 'undrawn').map(row => `${row.case} ${row.line}`))].map(key => key.split(' '))) {
      const at = (site, pick) => of({ part: 'undrawn', case: name, line: speed, site }, pick);
      const bar_ = (what, value, goal) => bar(`viewer-mpr-${name}-${speed}-undrawn-${what}`, value, goal);
      bar_('covered-to-b', at('b', row => row.complete) / at('c', row => row.covered), '>= 4');
      bar_('own-to-b', at('b', row => row.complete - row.request) / at('c', row => row.own - row.request), '>= 2.5');
      bar_('complete-to-a', at('c', row => row.complete) / at('a', row => row.complete), '<= 1.05');
    }
  },

  jump(of, rows) {
    for (const [name, speed] of [...new Set(rows.filter(row => row.part === 'jump').map(row => `${row.case} ${row.line}`))].map(key => key.split(' '))) {
      const at = site => of({ part: 'jump', case: name, line: speed, site }, row => row.jump?.complete);
      bar(`viewer-jump-${name}-${speed}-to-a`, at('a') / at('c'), '>= 3');
      bar(`viewer-jump-${name}-${speed}-jpegls-to-b`, at('b') / at('d'), '>= 3');
    }
  },

  scroll(of, rows) {
    if (rows.some(row => row.part === 'scroll')) bar('viewer-scroll-within-100-ms', of({ part: 'scroll', site: 'c' }, row => row.within100 / row.visits), '>= 0.95');
    for (const name of ['steady', 'back', 'bar']) {
      if (!rows.some(row => row.part === 'prefetch' && row.case === name)) continue;
      const at = pick => of({ part: 'prefetch', case: name, site: 'c' }, pick);
      bar(`viewer-prefetch-${name}-hits`, at(row => row.prefetch && row.prefetch.hits / (row.prefetch.hits + row.prefetch.misses)), '>= 0.85');
      bar(`viewer-prefetch-${name}-waste`, at(row => row.prefetch && row.prefetch.wasted / row.prefetch.ahead), '<= 0.2');
    }
  },

  passing(of, rows) {
    if (rows.some(row => row.part === 'passing')) bar('viewer-phone-images-a-second', of({ part: 'passing' }, row => row.perSecond), '>= 30');
    if (!rows.some(row => row.part === 'hour')) return;
    bar('viewer-phone-peak-MB', of({ part: 'hour' }, row => row.peak), '<= 120');
    bar('viewer-phone-growth-in-an-hour', of({ part: 'hour' }, row => row.growth), '<= 1.05');
  },

  cold(of, rows) {
    for (const speed of ['slow4g', '3g']) {
      if (!rows.some(row => row.part === 'cold' && row.line === speed)) continue;
      const at = (site, pick) => of({ part: 'cold', line: speed, site }, pick);
      bar(`viewer-cold-${speed}-useful-to-a`, at('a', row => row.useful?.ms) / at('c', row => row.useful?.ms), '>= 8');
      bar(`viewer-cold-${speed}-ready-to-a`, at('c', row => row.ready?.ms) / at('a', row => row.ready?.ms), '<= 1.05');
    }
    if (!rows.some(row => row.part === 'phone')) return;
    const start = of({ part: 'phone', case: 'blank' }, row => row.ms);
    const useful = of({ part: 'phone', case: 'dx' }, row => row.useful?.ms);
    // What has to come: the page with its decoder, and the level.
    const kB = SHELL + of({ part: 'phone', case: 'dx' }, row => row.end / 1000);
    bar('viewer-phone-slow4g-to-limit', useful / (start + 2 * LINES.slow4g[1] + (kB * 8) / LINES.slow4g[0] + DRAW.dx), '<= 1.5');
    bar('viewer-phone-slow4g-to-ohif', of({ part: 'cold', line: 'slow4g', site: 'a' }, row => row.useful?.ms) / useful, '>= 8');
  },
};

/** Where the coarsest level ends that has a pixel for four device pixels. */
function usefulEnd({ ends, rows, columns }, drawn) {
  if (!drawn) return undefined;
  for (let level = ends.length - 1; level > 0; level--) {
    if (Math.ceil(columns / 2 ** level) * Math.ceil(rows / 2 ** level) >= drawn / 4) return ends[ends.length - 1 - level];
  }
  return ends.at(-1);
}
