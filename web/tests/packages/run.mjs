#!/usr/bin/env node
/**
 * The packages as their users get them: packed, installed in an empty project, type-checked, their examples run, their size held.
 *
 *     node tests/packages/run.mjs
 *
 * Each public package says in `sizeBudget` how many bytes its entry may have, bundled, minified and with gzip, other packages of ours left out.
 */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { Checks } from '../browser/checks.mjs';

const run = promisify(execFile);
const WEB = join(import.meta.dirname, '..', '..');
const PACKAGES = join(WEB, 'packages');
const CODESTREAM = join(PACKAGES, 'htj2k', 'tests', 'data', 'rgb.j2c');

async function main() {
  const checks = new Checks();
  const packages = await publicPackages();
  const project = await mkdtemp(join(tmpdir(), 'firstlight-packages-'));
  try {
    await checks.part('an empty project', () => install(checks, packages, project));
    await checks.part('types', () => types(checks, packages, project));
    await checks.part('examples', () => examples(checks, packages, project));
    await checks.part('sizes', () => sizes(checks, packages, project));
  } finally {
    await rm(project, { recursive: true, force: true });
  }
  return checks.close();
}

/** Those that are not private, what others need first. */
async function publicPackages() {
  const found = [];
  for (const folder of await readdir(PACKAGES)) {
    const file = join(PACKAGES, folder, 'package.json');
    if (!(await exists(file))) continue;
    const manifest = JSON.parse(await readFile(file, 'utf8'));
    if (!manifest.private) found.push({ folder: join(PACKAGES, folder), manifest });
  }
  const needs = ({ manifest }) => Object.keys(manifest.dependencies ?? {}).filter(name => name.startsWith('@firstlight/')).length;
  return found.sort((a, b) => needs(a) - needs(b));
}

async function install(checks, packages, project) {
  const tarballs = [];
  for (const { folder, manifest } of packages) {
    await run('npm', ['run', '--silent', 'build'], { cwd: folder });
    const { stdout } = await run('npm', ['pack', '--silent', '--json', '--pack-destination', project], { cwd: folder });
    const told = JSON.parse(stdout);
    const packed = Array.isArray(told) ? told[0] : Object.values(told)[0];
    const names = packed.files.map(file => file.path);
    checks.that(`${manifest.name} holds a README, types and modules`, ['README.md', 'package.json'].every(name => names.includes(name)) && names.some(name => name.endsWith('.d.ts')) && names.some(name => name.endsWith('.js')), `${names.length} files, ${(packed.size / 1000).toFixed(0)} kB packed`);
    checks.that(`${manifest.name} holds no tests and no sources`, !names.some(name => /(^|\/)(tests?|src)\//.test(name)));
    tarballs.push(join(project, packed.filename));
  }
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs], { cwd: project });
  checks.that('npm installs them together', true);
}

/** Every entry point has types that a strict project takes, by the rules of bundlers and by those of Node. */
async function types(checks, packages, project) {
  await mkdir(join(project, 'src'), { recursive: true });
  for (const { folder, manifest } of packages) {
    const name = manifest.name.split('/')[1];
    const entries = Object.entries(manifest.exports).filter(([, to]) => typeof to === 'object');
    const imports = entries.map(([path], n) => `import * as entry${n} from '${join(manifest.name, path)}';`);
    await writeFile(join(project, 'src', `${name}-entries.ts`), `${imports.join('\n')}\nexport const all: object[] = [${entries.map((_, n) => `entry${n}`)}];\n`);
    const examples = (await readdir(join(folder, 'examples')).catch(() => [])).filter(file => file.endsWith('.ts'));
    checks.that(`${manifest.name} has an example with types`, examples.length > 0, examples.join(', '));
    for (const example of examples) await cp(join(folder, 'examples', example), join(project, 'src', `${name}-${example}`));
  }
  for (const [module, resolution] of [['ESNext', 'bundler'], ['NodeNext', 'NodeNext']]) {
    const options = { target: 'ES2022', module, moduleResolution: resolution, lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: [], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['src'] }));
    const { code, stdout } = await attempt(process.execPath, [join(WEB, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project]);
    checks.that(`strict types, modules resolved as by ${resolution}`, code === 0, stdout.trim());
  }
}

/** The examples that need nothing but Node: from the installed packages, as a user runs them. */
async function examples(checks, packages, project) {
  const installed = name => join(project, 'node_modules', '@firstlight', name, 'examples');
  const progressive = await attempt(process.execPath, [join(installed('htj2k'), 'progressive.mjs'), CODESTREAM], { cwd: project });
  checks.that('@firstlight/htj2k: progressive.mjs decodes to the full image', /^level 0: .* complete$/m.test(progressive.stdout), progressive.stderr.trim() || progressive.stdout.trim().split('\n').at(-1));

  const bytes = await readFile(CODESTREAM);
  const server = createServer((_, response) => response.writeHead(200, { 'Content-Type': 'application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.202', 'Content-Length': bytes.length }).end(bytes));
  await new Promise(ready => server.listen(0, '127.0.0.1', ready));
  const url = `http://127.0.0.1:${server.address().port}/studies/1/series/2/instances/3/frames/1`;
  const levels = await attempt(process.execPath, [join(installed('loader'), 'levels.mjs'), url], { cwd: project, timeout: 120_000 });
  server.close();
  checks.that('@firstlight/loader: levels.mjs loads a frame to its full image', /^level 0: .* complete/m.test(levels.stdout), levels.stderr.trim() || levels.stdout.trim().split('\n').at(-1));
}

/** What a bundle pays for everything that the main entry exports. */
async function sizes(checks, packages, project) {
  for (const { manifest } of packages) {
    const entry = join(project, `${manifest.name.split('/')[1]}-entry.js`);
    await writeFile(entry, `export * from '${manifest.name}';\n`);
    const others = id => id.startsWith('@firstlight/') && !id.startsWith(manifest.name);
    const { output } = await build({
      root: project,
      configFile: false,
      logLevel: 'silent',
      build: { write: false, target: 'es2022', minify: true, modulePreload: false, assetsInlineLimit: 0, rollupOptions: { input: entry, external: others, preserveEntrySignatures: 'strict' } },
    }).then(result => (Array.isArray(result) ? result[0] : result));
    const code = output.filter(part => part.type === 'chunk' && part.isEntry).map(part => part.code).join('\n');
    const size = gzipSync(code, { level: 9 }).length;
    const budget = manifest.sizeBudget;
    checks.that(`${manifest.name} is within its size budget`, typeof budget === 'number' && size <= budget, `${(size / 1000).toFixed(1)} kB of ${budget === undefined ? 'none told' : (budget / 1000).toFixed(1)} with gzip`);
  }
}

const exists = path => stat(path).then(() => true, () => false);

/** Runs a program to its end, however it ends. */
function attempt(program, args, options = {}) {
  return run(program, args, options).then(
    done => ({ code: 0, ...done }),
    error => ({ code: error.code ?? 1, stdout: error.stdout ?? '', stderr: error.stderr || String(error) })
  );
}

process.exitCode = await main();
