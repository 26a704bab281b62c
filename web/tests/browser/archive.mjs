/** The real server with a small archive of its own, in a folder that goes away with it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const HTJ2K_RPCL = '1.2.840.10008.1.2.4.202';

/** Tags of DICOM JSON. */
export const STUDY = '0020000D';
export const SERIES = '0020000E';
export const INSTANCE = '00080018';

export class Archive {
  #child;
  #folder;

  /** Serves `sources`, converted to HTJ2K, and waits until each of the `expected` instances is. */
  static async start(sources, expected) {
    const archive = new Archive();
    if (process.env.FIRSTLIGHT_URL) {
      archive.url = process.env.FIRSTLIGHT_URL;
    } else {
      await archive.#spawn(sources);
    }
    await archive.#converted(expected);
    return archive;
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
        all.push({ study: uid, path, modality: series['00080060'].Value[0], levels });
      }
    }
    return all;
  }

  async stop() {
    this.#child?.kill('SIGINT');
    if (this.#child && this.#child.exitCode === null) await new Promise(done => this.#child.once('exit', done));
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }

  async #spawn(sources) {
    this.#folder = await mkdtemp(join(tmpdir(), 'firstlight-browser-'));
    const args = ['serve', '--data', this.#folder, '--listen', '127.0.0.1:0', '--policy', 'htj2k-all'];
    args.push('--viewer', viewer(), '--web', join(ROOT, 'web', 'dist'));
    for (const source of sources) args.push('--import', source);
    this.#child = spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    this.#child.stderr.on('data', bytes => (said += bytes));
    this.url = await new Promise((found, fail) => {
      this.#child.on('error', fail);
      this.#child.on('exit', code => fail(new Error(`the server ended with code ${code}: ${said}`)));
      this.#child.stdout.on('data', bytes => {
        said += bytes;
        const address = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (address) found(address[0]);
      });
    });
  }

  async #converted(expected) {
    const deadline = Date.now() + 300_000;
    for (;;) {
      const series = await this.series().catch(() => []);
      const instances = series.flatMap(each => Object.values(each.levels));
      const ready = instances.filter(each => each.transferSyntax === HTJ2K_RPCL && each.frames[0]?.ends.length > 0);
      if (ready.length >= expected) return;
      if (Date.now() > deadline) throw new Error(`${ready.length} of ${expected} instances were converted in five minutes`);
      await new Promise(later => setTimeout(later, 500));
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
