#!/usr/bin/env node
/**
 * How soon the viewer shows something useful, beside stock OHIF, through a shaped line whose byte log is the evidence.
 *
 *     node bench/run.mjs [--parts radiographs,volumes,undrawn,jumps,scroll,prefetch,cold,phone,passing,hour] [--cases dx,mg,mgbig,ct143,ct500] [--runs N] [--lines 4g,slow4g,3g]
 *     [--sites a,b,c,d] [--anew] [--table]
 *
 * Results are appended to target/bench-viewer/results.jsonl: a run that was stopped goes on where it was; `--anew` begins again, `--table` only prints.
 * One desk at a time; sites by turns within each run; what began at a load over 3 is void.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { launch } from '../tests/browser/viewer.mjs';
import { blank, link, phone } from './cold.mjs';
import { Desk, LINES, opening } from './openings.mjs';
import { hour, swipes } from './passing.mjs';
import { Results } from './results.mjs';
import { scrolling } from './scrolling.mjs';
import { startSites, WORK } from './sites.mjs';
import { table } from './table.mjs';
import { undrawn } from './undrawn.mjs';

const option = (name, fallback) => (process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : fallback);
const flag = name => process.argv.includes(`--${name}`);
const chosen = (name, all) => option(name, all.join(',')).split(',');

/** What was typed wrong ends it before a server is started. */
function check() {
  const known = ['--parts', '--cases', '--runs', '--lines', '--sites', '--anew', '--table'];
  const wrong = process.argv.slice(2).find(word => word.startsWith('--') && !known.includes(word));
  if (wrong) return `no flag is called ${wrong}\nhint: there are ${known.join(' ')}`;
  for (const [name, all] of [['parts', Object.keys(PARTS)], ['cases', CASES], ['lines', Object.keys(LINES)], ['sites', ['a', 'b', 'c', 'd']]]) {
    const other = chosen(name, all).find(each => !all.includes(each));
    if (other !== undefined) return `--${name}: there is no ${other}\nhint: there are ${all.join(',')}`;
  }
  return undefined;
}

async function main() {
  const results = new Results(join(WORK, 'results.jsonl'), flag('anew'));
  const names = chosen('sites', ['a', 'b', 'c', 'd']);
  const { sites, stop } = await startSites(names);
  // Ctrl-C and a time limit end the servers and the run; what was measured is kept.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stop().finally(() => process.exit(130)));
  try {
    if (!flag('table')) {
      const browser = await launch({ handleSIGINT: false, handleSIGTERM: false });
      for (const part of chosen('parts', Object.keys(PARTS))) {
        await PARTS[part]({ browser, sites, results, runs: fallback => Number(option('runs', fallback)), lines: all => chosen('lines', all).filter(line => all.includes(line)) });
      }
      await browser.close();
    }
  } finally {
    await stop();
  }
  console.log(`\n${cpus().length} cores, ${cpus()[0].model}; Chromium on software GL, which AVX-512 does not change\n`);
  table(results.rows, sites);
}

const CASES = ['dx', 'mg', 'mgbig', 'ct143', 'ct500'];

const PARTS = {
  radiographs: context => desks(context, 7, ['dx', 'mg', 'mgbig'], ['4g', 'slow4g', '3g'], ['a', 'b', 'c'], 'image'),
  volumes: async context => {
    await desks(context, 5, ['ct143'], ['4g', 'slow4g'], ['a', 'b', 'c'], 'volume');
    await desks(context, 3, ['ct500'], ['4g'], ['a', 'b', 'c'], 'volume');
  },
  undrawn: context => desks(context, 5, ['ct143'], ['4g'], ['a', 'b', 'c'], 'undrawn'),
  jumps: async context => {
    await desks(context, 5, ['ct143'], ['4g', 'slow4g'], ['a', 'b', 'c', 'd'], 'jump');
    await desks(context, 3, ['ct500'], ['4g'], ['a', 'b', 'c', 'd'], 'jump');
  },
  scroll: ({ browser, sites, results, runs }) => turns(runs(3), ['a', 'b', 'c'], sites, (run, site) => results.measure({ part: 'scroll', case: 'ct500', line: '4g', site: site.name, run }, () => scrolling(browser, site, '4g', 'fast', site.series.ct500))),
  prefetch: async ({ browser, sites, results, runs }) => {
    for (const pattern of ['steady', 'back', 'bar']) {
      await turns(runs(3), ['c'], sites, (run, site) => results.measure({ part: 'prefetch', case: pattern, line: '4g', site: site.name, run }, () => scrolling(browser, site, '4g', pattern, site.series.ct500)));
    }
  },
  cold: async ({ browser, sites, results, runs, lines }) => {
    for (const line of lines(['slow4g', '3g'])) {
      await turns(runs(3), ['a', 'c'], sites, (run, site) => results.measure({ part: 'cold', case: 'dx', line, site: site.name, run }, () => link(browser, site, line, site.series.dx)));
    }
  },
  phone: ({ browser, sites, results, runs }) =>
    turns(runs(5), ['c'], sites, async (run, site) => {
      await results.measure({ part: 'phone', case: 'blank', line: 'slow4g', site: site.name, run }, () => blank(browser, site, 'slow4g'));
      await results.measure({ part: 'phone', case: 'dx', line: 'slow4g', site: site.name, run }, () => phone(browser, site, 'slow4g', site.series.dx));
    }),
  passing: ({ browser, sites, results, runs }) => turns(runs(5), ['c'], sites, (run, site) => results.measure({ part: 'passing', case: 'ct500', line: '4g', site: site.name, run }, () => swipes(browser, site, '4g'))),
  hour: ({ browser, sites, results, runs }) => turns(runs(1), ['c'], sites, (run, site) => results.measure({ part: 'hour', case: 'ct500', line: '4g', site: site.name, run }, () => hour(browser, site))),
};

async function turns(runs, names, sites, body) {
  for (let run = 1; run <= runs; run++) {
    for (let n = 0; n < names.length; n++) {
      const site = sites[names[(n + run) % names.length]];
      if (site) await body(run, site);
    }
  }
}

/** Openings in warm applications, one desk a site. */
async function desks({ browser, sites, results, runs, lines }, most, cases, speeds, names, kind) {
  const wanted = runs(most);
  for (let run = 1; run <= wanted; run++) {
    const open = {};
    for (const name of chosen('cases', cases).filter(name => cases.includes(name))) {
      for (const line of lines(speeds)) {
        for (let n = 0; n < names.length; n++) {
          const site = sites[names[(n + run) % names.length]];
          if (!site) continue;
          await results.measure({ part: kind, case: name, line, site: site.name, run }, async () => {
            open[site.name] ??= await warmed(browser, site);
            try {
              if (kind === 'undrawn') return await undrawn(open[site.name], line, site.series[name]);
              return await opening(open[site.name], line, kind, site.series[name]);
            } catch (error) {
              await open[site.name].close().catch(() => undefined);
              delete open[site.name];
              throw error;
            }
          });
        }
      }
    }
    for (const desk of Object.values(open)) await desk.close();
  }
}

async function warmed(browser, site) {
  const desk = await Desk.open(browser, site);
  await desk.warm();
  return desk;
}

const wrong = check();
if (wrong) {
  console.error(`error: ${wrong}`);
  process.exit(2);
}
await main();
process.exit(0);
