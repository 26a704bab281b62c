/** Storing files by STOW-RS (PS3.18 10.5): some in one request, tried again while the line or the server fails for now. */
import { items, number, text, type DataSet } from '../../dicom/dataset.ts';
import { ROOT } from '../../study/archive.ts';

/** One request takes so many files, and so many bytes; a larger file goes alone. */
export const BATCH = { files: 64, bytes: 32 << 20 };

/** What became of a batch. */
export interface Stored {
  stored: number;
  refused: Refusal[];
}

/** An instance that is not stored, and why; what could not be read as one has no UID. */
export interface Refusal {
  instance: string;
  reason: string;
}

/** The archive takes nothing from here, and says why. */
export class NotTaken extends Error {}

const PAUSES = { first: 500, most: 30_000 };

/** Groups that are worth a request each, in the order in which files come. */
export async function* batches<T extends { file: Blob }>(files: AsyncIterable<T>, { files: most, bytes: heaviest } = BATCH): AsyncGenerator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for await (const one of files) {
    if (batch.length > 0 && (batch.length >= most || bytes + one.file.size > heaviest)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(one);
    bytes += one.file.size;
  }
  if (batch.length > 0) yield batch;
}

/** Stores a batch; `tell` hears why it takes longer, and '' when it goes on. */
export async function store(files: readonly Blob[], tell: (sentence: string) => void, signal: AbortSignal): Promise<Stored> {
  for (let pause = PAUSES.first; ; pause = Math.min(2 * pause, PAUSES.most)) {
    const answer = await post(files, signal).catch(error => {
      if (signal.aborted) throw error;
      return undefined;
    });
    const forNow = !answer || answer.status === 401 || answer.status === 429 || answer.status === 408 || (answer.status >= 500 && answer.status !== 507);
    if (!forNow) {
      tell('');
      return read(answer);
    }
    tell(!answer ? (navigator.onLine ? 'Connection lost: trying again' : 'Offline: it goes on when the line is back') : answer.status === 401 ? 'Signed out: sign in again in another tab, and it goes on here' : `The server answered ${answer.status}: trying again`);
    await sleep(pause, signal);
  }
}

function post(files: readonly Blob[], signal: AbortSignal): Promise<Response> {
  const boundary = `firstlight-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
  const parts = files.flatMap(file => [`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, '\r\n']);
  return fetch(`${ROOT}/studies`, {
    method: 'POST',
    headers: { Accept: 'application/dicom+json', 'Content-Type': `multipart/related; type="application/dicom"; boundary=${boundary}` },
    body: new Blob([...parts, `--${boundary}--\r\n`]),
    signal,
  });
}

async function read(answer: Response): Promise<Stored> {
  const said = await answer.text();
  if (!(answer.headers.get('Content-Type') ?? '').includes('json')) {
    throw new NotTaken(answer.status === 405 || answer.status === 403 ? 'This archive takes no images from here.' : said.trim().split('\n')[0] || `The server answered ${answer.status}.`);
  }
  return outcome(JSON.parse(said) as DataSet);
}

/** The Store Instances Response: how much is stored, and what is not. */
export function outcome(set: DataSet): Stored {
  const failed = [...items(set, '00081198'), ...items(set, '0008119A')];
  return { stored: items(set, '00081199').length, refused: failed.map(item => ({ instance: text(item, '00081155'), reason: reason(item) })) };
}

function reason(item: DataSet): string {
  return text(item, '00000902') || `reason ${(number(item, '00081197') ?? 0).toString(16).toUpperCase().padStart(4, '0')}H`;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.aborted ? end() : signal.addEventListener('abort', end, { once: true });
    window.addEventListener('online', () => resolve(), { once: true });
  });
}
