/** Questions to the archive (PS3.18 10.6 and 10.4). What is only for now (no line, a busy server, a lost sign-in) is asked again until it is answered. */
import type { FrameLevels } from '@firstlight/loader';
import { number, text, type DataSet } from '../dicom/dataset.ts';
import { HERE } from '../here.ts';

export const ROOT = `${HERE}/dicom-web`;

/** The archive will not answer this, however often it is asked. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Told while an answer is late or a question failed for now; with '' when it is answered. */
export type Tell = (sentence: string) => void;

const PAUSES = { first: 500, most: 30_000 };
/** Milliseconds after which a reader is told that there is no answer. */
const LATE = 3000;
/** Milliseconds without a byte after which an answer counts as lost. */
const STALLED = 20_000;

let lead: (() => void) | undefined;

/** `to` is called where the archive lets nobody in before it has answered anything: the page was kept from an earlier visit, and nobody was led to the form. */
export function leadToSignIn(to: () => void): void {
  lead = to;
}

/** `asked` is the first try, if it was made already. */
export async function ask<T>(path: string, tell: Tell = () => undefined, signal?: AbortSignal, asked?: Promise<Response>): Promise<T> {
  for (let pause = PAUSES.first; ; pause = Math.min(2 * pause, PAUSES.most)) {
    const late = setTimeout(() => tell('The server has not answered yet: waiting'), LATE);
    try {
      const begun = asked;
      asked = undefined;
      const response = await inTime(begun ?? fetch(path, { headers: { Accept: 'application/dicom+json, application/json' }, ...(signal && { signal }) }));
      // A page instead of data is a proxy's sign-in.
      const outside = response.status === 401 || (response.ok && (response.headers.get('Content-Type') ?? '').startsWith('text/html'));
      const passing = outside || response.status === 429 || response.status >= 500;
      if (!passing && !response.ok) throw new Refused(response.status, (await response.text()).trim().split('\n')[0] || `the server answered ${response.status}`);
      if (response.status === 401) lead?.();
      if (!passing) {
        lead = undefined;
        const answer = response.status === 204 ? '[]' : await body(response);
        clearTimeout(late);
        tell('');
        return parsed<T>(answer);
      }
      clearTimeout(late);
      tell(outside ? 'Signed out: sign in again in another tab, and it goes on here' : `The server answered ${response.status}: trying again`);
    } catch (error) {
      clearTimeout(late);
      if (error instanceof Refused || signal?.aborted) throw error;
      tell(navigator.onLine ? 'Connection lost: trying again' : 'Offline: it goes on when the line is back');
    }
    await sleep(pause, signal);
  }
}

function parsed<T>(answer: string): T {
  try {
    return JSON.parse(answer) as T;
  } catch {
    throw new Refused(200, 'the server answered something that is no data');
  }
}

/** What is awaited, unless the line is lost in silence. */
function inTime<T>(awaited: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new TypeError('nothing came for a while')), STALLED)));
  return Promise.race([awaited, silence]).finally(() => clearTimeout(timer));
}

/** The text of an answer, as long as something of it comes. */
async function body(response: Response): Promise<string> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read());
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    throw error;
  }
}

/** Waits; a line that comes back ends it. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      signal?.aborted ? reject(signal.reason as Error) : resolve();
    }
    window.addEventListener('online', done, { once: true });
    signal?.addEventListener('abort', done, { once: true });
  });
}

export const studyPath = (study: string): string => `${ROOT}/studies/${encodeURIComponent(study)}`;
export const seriesPath = (study: string, series: string): string => `${studyPath(study)}/series/${encodeURIComponent(series)}`;

/** The study, its series as they are shown, and the first picture of it with its levels. */
export interface First {
  study: DataSet;
  series: DataSet[];
  first: { series: string; instance: string; frame: number; metadata: DataSet; levels: InstanceLevels } | null;
}

/** Kinds of series that hold no pictures of their own. */
const WITHOUT_PICTURES = /^(SR|PR|KO|SEG|RTSTRUCT|RTPLAN|RTDOSE|RTRECORD|REG|FID|DOC|PLAN|AU|ECG|HD|DOCUMENT)$/;
const SERIES_FIELDS = '0008103E,00080060,00201209,00200011,00100010,00100020,00080020,00081030';

/** What a study opens with, by one question; by two from servers that do not know that one. */
export async function first(study: string, series: string | undefined, tell: Tell): Promise<First> {
  try {
    const path = `${studyPath(study)}/first${series ? `?series=${encodeURIComponent(series)}` : ''}`;
    return await ask<First>(path, tell, undefined, askedEarly(path));
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
  }
  const found = await ask<DataSet[]>(`${studyPath(study)}/series?includefield=${SERIES_FIELDS}`, tell);
  return { study: found[0] ?? {}, series: inOrder(found), first: null };
}

export const hasPictures = (series: DataSet): boolean => !WITHOUT_PICTURES.test(text(series, '00080060'));

/** What early.js asked for before this script was here. */
function askedEarly(path: string): Promise<Response> | undefined {
  const page = globalThis as { firstlightAsked?: { path: string; answer: Promise<Response> } | undefined };
  const asked = page.firstlightAsked;
  page.firstlightAsked = undefined;
  return asked?.path === path ? asked.answer : undefined;
}

/** Series with pictures first, by number. */
export function inOrder(series: readonly DataSet[]): DataSet[] {
  const last = (one: DataSet) => Number(!hasPictures(one));
  return [...series].sort((a, b) => last(a) - last(b) || (number(a, '00200011') ?? 0) - (number(b, '00200011') ?? 0));
}

export const metadata = (study: string, series: string, tell: Tell, signal?: AbortSignal): Promise<DataSet[]> => ask(`${seriesPath(study, series)}/metadata`, tell, signal);

/** What is told of the levels of one instance. */
interface InstanceLevels {
  frames?: { length: number; ends: number[] }[];
}

/** Where the levels of all frames of a series end, by instance and frame; nothing where that cannot be had. */
export async function levels(study: string, series: string, signal: AbortSignal): Promise<Map<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  const answer = await ask<{ instances: Record<string, InstanceLevels> }>(`${seriesPath(study, series)}/levels`, undefined, signal).catch(() => undefined);
  for (const [instance, { frames }] of Object.entries(answer?.instances ?? {})) frames?.forEach(({ ends }, n) => ends.length > 0 && found.set(`${instance}/${n + 1}`, ends));
  return found;
}

/** The levels of the first picture, as loaders take them. */
export function firstLevels(answer: NonNullable<First['first']>): FrameLevels | undefined {
  const ends = answer.levels.frames?.[0]?.ends ?? [];
  const [width, height] = [number(answer.metadata, '00280011'), number(answer.metadata, '00280010')];
  return ends.length > 0 && width && height ? { width, height, ends } : undefined;
}

/** What studies are searched by. */
export interface Search {
  name: string;
  id: string;
  from: string;
  to: string;
  modality: string;
}

export const STUDY_FIELDS = '00080061,00081030,00100010,00100020,00100030,00201206,00201208,00080020';

/** One page of studies, and one row more where there are more. */
export function searchPath(search: Search, limit: number, offset: number): string {
  const query = new URLSearchParams({ limit: String(limit + 1), offset: String(offset), includefield: STUDY_FIELDS });
  const literal = (words: string) => words.trim().replace(/[*?\\]/g, '');
  const day = (value: string) => value.replaceAll('-', '');
  if (literal(search.name)) query.set('PatientName', `*${literal(search.name)}*`);
  if (literal(search.id)) query.set('PatientID', `*${literal(search.id)}*`);
  if (search.from || search.to) query.set('StudyDate', `${day(search.from)}-${day(search.to)}`);
  if (search.modality) query.set('ModalitiesInStudy', search.modality);
  return `${ROOT}/studies?${query}`;
}

/** The other studies of a patient, by the very ID; newest first. */
export async function otherStudies(patient: string, study: string): Promise<DataSet[]> {
  const found = await ask<DataSet[]>(`${ROOT}/studies?${new URLSearchParams({ PatientID: patient, includefield: STUDY_FIELDS, limit: '200' })}`);
  return found.filter(one => text(one, '00100020') === patient && text(one, '0020000D') !== study).sort((a, b) => text(b, '00080020').localeCompare(text(a, '00080020')));
}
