/** The document of a study's first picture, `GET {root}/studies/{S}/first`, and what it says of the frame. */
import type { FrameLevels } from '@firstlight/loader';
import { mayBeReduced, type Shape } from '@firstlight/loader/cornerstone';

export interface FirstDocument {
  /** As a search gives them. */
  series?: Record<string, { Value?: unknown[] }>[];
  first?: {
    series: string;
    instance: string;
    frame: number;
    metadata: Record<string, { Value?: unknown[] }>;
    levels?: { transferSyntax?: string; frames?: { ends?: number[] }[] };
  } | null;
}

/** A server without that route is a normal answer. */
export interface FirstAnswer {
  status: number;
  document?: FirstDocument;
}

/** The frame as the loader wants it. */
export interface FirstFrame {
  imageId: string;
  url: string;
  shape: Shape;
  levels: FrameLevels | undefined;
}

const BY_LEVELS = /^1\.2\.840\.10008\.1\.2\.4\.20[23]$/;
const TAGS = { rows: '00280010', columns: '00280011', samples: '00280002', stored: '00280101', intercept: '00281052', slope: '00281053' };

/** What decides whether a reduced image of it means anything. */
const KINDS = {
  SOPClassUID: '00080016',
  SegmentationType: '00620001',
  PhotometricInterpretation: '00280004',
  ModalityLUTSequence: '00283000',
  VOILUTSequence: '00283010',
  WindowCenter: '00281050',
  WindowWidth: '00281051',
  PixelPaddingValue: '00280120',
};
const SHOWN = /^(MONOCHROME[12]|RGB|YBR_RCT|YBR_ICT)$/;

/** Asks for each study once; what failed is asked for anew. */
export class FirstAnswers {
  readonly #answers = new Map<string, Promise<FirstAnswer>>();
  /** More than a list has rows. */
  static readonly MOST = 200;

  ask(root: string, study: string, fetching: typeof fetch, headers?: Record<string, string>): Promise<FirstAnswer> {
    let answer = this.#answers.get(study);
    if (!answer) {
      answer = askFirst(root, study, fetching, headers).catch(() => ({ status: 0 }));
      this.#answers.set(study, answer);
      void answer.then(({ document }) => document === undefined && this.#answers.delete(study));
      for (const oldest of this.#answers.keys()) if (this.#answers.size > FirstAnswers.MOST) this.#answers.delete(oldest);
    }
    return answer;
  }

  forget(): void {
    this.#answers.clear();
  }
}

async function askFirst(root: string, study: string, fetching: typeof fetch, headers: Record<string, string> = {}): Promise<FirstAnswer> {
  const response = await fetching(`${root}/studies/${study}/first`, { headers: { ...headers, Accept: 'application/json' } });
  return response.ok ? { status: response.status, document: (await response.json()) as FirstDocument } : { status: response.status };
}

/** The frame, if it is one that comes by levels. */
export function firstFrame(root: string, study: string, { first }: FirstDocument): FirstFrame | undefined {
  if (!first || !BY_LEVELS.test(first.levels?.transferSyntax ?? '') || !canBeShown(first.metadata)) return undefined;
  const url = `${root}/studies/${study}/series/${first.series}/instances/${first.instance}/frames/${first.frame}`;
  const told = (tag: string, otherwise: number) => Number(first.metadata[tag]?.Value?.[0] ?? otherwise);
  const [width, height] = [told(TAGS.columns, 0), told(TAGS.rows, 0)];
  const ends = first.levels?.frames?.[0]?.ends;
  const levels = ends?.length && width > 0 && height > 0 ? { width, height, ends } : undefined;
  const bits = told(TAGS.stored, 16);
  const grey = told(TAGS.samples, 1) === 1;
  const shape = grey ? { slope: told(TAGS.slope, 1), intercept: told(TAGS.intercept, 0), bits } : { slope: 1, intercept: 0, bits };
  return { imageId: `wadors:${url}`, url, shape, levels };
}

/** As `canLoad` says of it when its metadata are there; positron emission is scaled otherwise. */
function canBeShown(metadata: Record<string, { Value?: unknown[] }>): boolean {
  const value = (tag: string) => metadata[tag]?.Value?.[0];
  if (!SHOWN.test(String(value(KINDS.PhotometricInterpretation))) || value('00080060') === 'PT') return false;
  return mayBeReduced(Object.fromEntries(Object.entries(KINDS).map(([name, tag]) => [name, value(tag)])));
}
