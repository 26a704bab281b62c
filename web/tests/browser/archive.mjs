/** The real server with a small archive of its own, in a folder that goes away with it. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { pause, until } from './waiting.mjs';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const HTJ2K_RPCL = '1.2.840.10008.1.2.4.202';

/** Tags of DICOM JSON. */
export const STUDY = '0020000D';
export const SERIES = '0020000E';
export const INSTANCE = '00080018';

export class Archive {
  #child;
  #folder;
  /** What the server said. */
  #said = '';

  /** Serves `sources`, converted to HTJ2K, and OHIF, and waits until each of the `expected` instances is. Our own files are those of `web`. */
  static async start(sources, expected, web = join(ROOT, 'web', 'dist')) {
    return Archive.#start(sources, expected, ['--viewer', viewer(), '--web', web]);
  }

  /** The same with the rules of a policy by which each instance becomes `syntax`. */
  static async startAs({ policy, syntax }, sources, expected) {
    const archive = new Archive();
    await archive.#spawn(sources, ['--viewer', viewer(), '--web', join(ROOT, 'web', 'dist')], policy);
    await archive.#converted(expected, ({ transferSyntax }) => transferSyntax === syntax);
    return archive;
  }

  /** The same for clients that bring their own pages. */
  static async startWithoutPages(sources, expected) {
    return Archive.#start(sources, expected, []);
  }

  static async #start(sources, expected, pages) {
    const archive = new Archive();
    if (process.env.FIRSTLIGHT_URL) {
      archive.url = process.env.FIRSTLIGHT_URL;
    } else {
      await archive.#spawn(sources, pages);
    }
    await archive.#converted(expected);
    return archive;
  }

  /** Serves `sources`, those converted that can be, and waits until no more are to be. */
  static async serve(sources) {
    const archive = new Archive();
    await archive.#spawn(sources, ['--viewer', viewer(), '--web', join(ROOT, 'web', 'dist')]);
    await archive.#quiet();
    return archive;
  }

  /** Serves `sources` as they are to who signs in. */
  static async guarded(sources) {
    const archive = new Archive();
    await archive.#spawn(sources, ['--viewer', viewer(), '--web', join(ROOT, 'web', 'dist'), '--sign-in', '--no-convert'], 'default');
    await until('an archive that has taken in all', () => archive.#takenIn(), Boolean);
    return archive;
  }

  /** Runs another command on this archive's folder, and gives what it says. */
  async command(words, input = '') {
    const running = promisify(execFile)(binary(), [...words, '--data', this.#folder]);
    running.child.stdin.end(input);
    return (await running).stdout;
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  async json(path) {
    const response = await fetch(`${this.url}/dicom-web${path}`, { headers: { Accept: 'application/json, application/dicom+json' } });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response.json();
  }

  /** Every series: its UIDs, and the levels that the server tells of it. */
  async series() {
    const all = [];
    for (const study of await this.json('/studies')) {
      const uid = study[STUDY].Value[0];
      for (const series of await this.json(`/studies/${uid}/series`)) {
        const path = `/studies/${uid}/series/${series[SERIES].Value[0]}`;
        const levels = (await this.json(`${path}/levels`)).instances;
        all.push({ study: uid, path, modality: series['00080060'].Value[0], date: study['00080020']?.Value?.[0] ?? '', levels });
      }
    }
    return all;
  }

  async stop() {
    this.#child?.kill('SIGINT');
    if (this.#child && this.#child.exitCode === null) await new Promise(done => this.#child.once('exit', done));
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }

  async #spawn(sources, pages, policy = 'htj2k-all') {
    this.#folder = await mkdtemp(join(tmpdir(), 'firstlight-browser-'));
    const args = ['serve', '--data', this.#folder, '--listen', '127.0.0.1:0', '--policy', policy, ...pages];
    for (const source of sources) args.push('--import', source);
    this.#child = spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr.on('data', bytes => (this.#said += bytes));
    this.url = await new Promise((found, fail) => {
      this.#child.on('error', fail);
      this.#child.on('exit', code => fail(new Error(`the server ended with code ${code}: ${this.#said}`)));
      this.#child.stdout.on('data', bytes => {
        this.#said += bytes;
        const address = /http:\/\/127\.0\.0\.1:\d+/.exec(this.#said);
        if (address) found(address[0]);
      });
    });
  }

  /** Whether all files are taken in. */
  #takenIn() {
    const [, done, of] = /.*import: ([\d,]+) of ([\d,]+) files?,/s.exec(this.#said) ?? [];
    return done !== undefined && done.replaceAll(',', '') === of.replaceAll(',', '');
  }

  /** All files are taken in, and none waits to be converted. */
  async #quiet() {
    const pending = async () => (await (await fetch(`${this.url}/status.json`)).json()).pending;
    const look = async () => [this.#takenIn(), await pending()];
    await until('an archive that has converted all', look, ([all, left]) => all && left === 0, 600_000);
  }

  async #converted(expected, is = ({ transferSyntax, frames }) => transferSyntax === HTJ2K_RPCL && frames[0]?.ends.length > 0) {
    const deadline = Date.now() + 900_000;
    for (;;) {
      const series = await this.series().catch(() => []);
      const instances = series.flatMap(each => Object.values(each.levels));
      const ready = instances.filter(is);
      if (ready.length >= expected) return;
      if (Date.now() > deadline) throw new Error(`${ready.length} of ${expected} instances were converted in a quarter of an hour`);
      await pause(200);
    }
  }
}

function binary() {
  const named = process.env.FIRSTLIGHT_BIN;
  const candidates = named ? [resolve(named)] : ['debug', 'release'].map(profile => join(ROOT, 'target', profile, 'firstlight'));
  const found = candidates.find(existsSync);
  if (!found) throw new Error(`${candidates.join(' and ')} not there; build with \`cargo build -p firstlight\`, or name it in FIRSTLIGHT_BIN`);
  return found;
}

function viewer() {
  const folder = process.env.FIRSTLIGHT_VIEWER ?? join(ROOT, '.cache', 'viewer');
  if (!existsSync(join(folder, 'index.html'))) throw new Error(`no viewer in ${folder}; fetch it with \`npm run fetch-viewer\``);
  return folder;
}
