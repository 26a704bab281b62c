/** The images that the browser is shown, and the hashes of their samples by decoders that are not ours. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const SHARED = process.env.FIRSTLIGHT_SHARED ?? resolve(ROOT, '..', 'shared');
export const CORPUS = join(SHARED, 'data', 'open');

const RADIOGRAPH = 'xr/pylibjpeg-data__966_fixed.dcm';
const SERIES = 'ct/nlst-149872';
/** Of each kind that first light treats in another way: JPEG, colour, indices, a report. */
const OTHERS = ['xr/torchxrayvision__1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm', 'colour-pattern/cornerstone3D__TestPattern_RGB.dcm', 'colour-pattern/cornerstone3D__TestPattern_Palette.dcm', 'nonimage/highdicom__sr_document.dcm'];
/** The sample that `make start` fetches: uncompressed, so its own bytes are the reference. */
const SAMPLE = 'radiograph-1.dcm';

/**
 * @returns {{ radiograph: { path: string, hashes: Set<string>, over2000: boolean } | null,
 *             series: { path: string, slices: number, hashes: Set<string> } | null, others: string[] }}
 */
export function images() {
  if (existsSync(join(CORPUS, 'REFERENCE.tsv'))) {
    const reference = references();
    const slices = [...reference.keys()].filter(path => path.startsWith(`${SERIES}/`));
    return {
      radiograph: { path: join(CORPUS, RADIOGRAPH), hashes: new Set([reference.get(RADIOGRAPH)]), over2000: true },
      series: { path: join(CORPUS, SERIES), slices: slices.length, hashes: new Set(slices.map(path => reference.get(path))) },
      others: OTHERS.map(path => join(CORPUS, path)).filter(existsSync),
    };
  }
  const sample = fetchSample();
  return { radiograph: sample && { path: sample, hashes: new Set([nativeSamples(sample)]), over2000: false }, series: null, others: [] };
}

/** SHA-256 of the samples by path, of the files on which the reference decoders agree. */
function references() {
  const [head, ...rows] = readFileSync(join(CORPUS, 'REFERENCE.tsv'), 'utf8').trim().split('\n').map(line => line.split('\t'));
  const column = name => head.indexOf(name);
  return new Map(
    rows.filter(row => row[column('status')] === 'AGREE').map(row => [row[column('path')], row[column('pixels_sha256')]])
  );
}

/** The samples of an explicit little endian file that ends with native Pixel Data. */
function nativeSamples(path) {
  const bytes = readFileSync(path);
  const at = bytes.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x57]));
  const length = bytes.readUInt32LE(at + 8);
  if (at < 0 || at + 12 + length > bytes.length) throw new Error(`${path} has no native Pixel Data`);
  return createHash('sha256').update(bytes.subarray(at + 12, at + 12 + length)).digest('hex');
}

/** The sample's path, fetched if need be; `null` where that is not possible. */
function fetchSample() {
  try {
    const folder = execFileSync(join(ROOT, 'scripts', 'samples.sh'), { encoding: 'utf8' }).trim().split('\n').pop();
    return existsSync(join(folder, SAMPLE)) ? join(folder, SAMPLE) : null;
  } catch {
    return null;
  }
}
