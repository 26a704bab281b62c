/** What all stacks of a page share: one loading worker and the line to it, what it was told, and memory. */
import type { FrameLevels, HtImage, StreamState } from '@firstlight/loader';
import type { FromLoader, Job, LineState, LoaderPort } from '@firstlight/loader/loading';
import { ImageCache, UNWANTED, type Want } from './images.ts';
import { keepWithin } from './keep.ts';
import type { Budget } from './memory.ts';

export interface Image extends HtImage {
  bytes: number;
}

/** What a stack wants of the line, the first first. */
export interface Plan {
  jobs: readonly Job[];
  /** Whether what is under way ends before anything else. */
  finish: boolean;
}

/** Who shows frames: a stack. It is told of all frames, and knows its own. */
export interface LoadingClient {
  /** How much it wants a frame; `undefined` for frames that are not its own. */
  want(frame: string): Want | undefined;
  onImage(frame: string, image: Image, levels: FrameLevels | undefined): void;
  onState(frame: string, state: StreamState, levels: FrameLevels | undefined): void;
}

const EXPLICIT = '1.2.840.10008.1.2.1';
const ACCEPT = ['1.2.840.10008.1.2.4.202', '1.2.840.10008.1.2.4.201', EXPLICIT].map(syntax => `application/octet-stream; transfer-syntax=${syntax}`).join(', ');
/** HTTP/1.1 has six connections. */
const REQUESTS = 5;
/** Of the budget of codestreams, what is left when some had to go. */
const KEPT = 0.8;
/** Who waits for the first request to be sent waits no longer. */
const SENT_MS = 3000;

export class Loading {
  readonly budget: Budget;
  readonly cache: ImageCache<Image>;
  readonly #port: LoaderPort;
  readonly #plans = new Map<LoadingClient, Plan>();
  /** Frames that the worker has been told of, and whether of their levels too. */
  readonly #told = new Map<string, boolean>();
  /** The finest level that the worker gave of a frame, as far as it is still here. */
  readonly #given = new Map<string, number>();
  /** Bytes of codestreams at rest that the worker keeps. */
  readonly #resting = new Map<string, number>();
  #restingBytes = 0;
  #underWay: ReadonlyMap<string, number> = new Map();
  /** Frames of which memory let a picture go since the worker was told. */
  readonly #gone = new Set<string>();
  #planned = false;
  #sent: (() => void)[] = [];
  line: LineState = { throughput: undefined, delay: undefined, bytes: 0, open: 0 };
  /** Bytes that the decoder holds, as it last told. */
  heldBytes = 0;

  constructor(port: LoaderPort, budget: Budget, wasm?: string) {
    [this.#port, this.budget] = [port, budget];
    this.cache = new ImageCache<Image>(budget.images, frame => this.#evicted(frame));
    this.cache.want = frame => {
      let most = UNWANTED;
      for (const client of this.#plans.keys()) {
        const want = client.want(frame);
        if (want && (want.rank < most.rank || (want.rank === most.rank && want.far < most.far))) most = want;
      }
      return most;
    };
    port.onMessage = message => this.#hear(message);
    port.post({ type: 'start', wasm, recycleAt: budget.recycleAt, accept: ACCEPT, requests: REQUESTS });
  }

  /** Bytes of images that each stack on the screen may wish for: some are left for what was seen before. */
  get share(): number {
    return (0.75 * this.budget.images) / Math.max(1, this.#plans.size);
  }

  /** Bytes of codestreams that are kept. */
  get streamBytes(): number {
    return this.#restingBytes;
  }

  /** A stack is on the screen. */
  join(client: LoadingClient): void {
    this.#plans.set(client, { jobs: [], finish: false });
  }

  /** It is no more: what only it has shown is forgotten. */
  leave(client: LoadingClient, frames: readonly string[]): void {
    this.#plans.delete(client);
    this.#replan();
    this.forget(frames.filter(frame => ![...this.#plans.keys()].some(other => other.want(frame))));
  }

  /** A stack wants this from now on; one list of all goes to the worker, once for all that happens at a time. */
  plan(client: LoadingClient, plan: Plan): void {
    this.#plans.set(client, plan);
    this.#replan();
  }

  /** Lets go of all that the worker has of these: they are begun anew when they are wanted. */
  forget(frames: readonly string[]): void {
    if (frames.length === 0) return;
    for (const frame of frames) {
      this.#told.delete(frame);
      this.#given.delete(frame);
      this.#gone.delete(frame);
      this.#rest(frame, 0);
    }
    this.#port.post({ type: 'forget', frames });
  }

  /** Tries again what failed, and what waits for its next try. */
  retry(): void {
    this.#port.post({ type: 'retry' });
  }

  /** Bytes that there are of a frame under way, as last told; `undefined` for others. */
  received(frame: string): number | undefined {
    return this.line.open > 0 ? this.#underWay.get(frame) : undefined;
  }

  /** Settles when a request has been sent: what is asked after that comes beside it, not before. */
  sent(): Promise<void> {
    if (this.line.open > 0) return Promise.resolve();
    return new Promise(settle => {
      this.#sent.push(settle);
      setTimeout(settle, SENT_MS);
    });
  }

  #replan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (this.#gone.size > 0) this.#port.post({ type: 'forget', frames: [...this.#gone], keep: true });
      this.#gone.clear();
      const plans = [...this.#plans.values()];
      const jobs = byTurns(plans.map(plan => plan.jobs)).map(job => this.#untold(job));
      this.#port.post({ type: 'want', jobs, headers: {}, finish: plans.some(({ finish }) => finish) });
    });
  }

  /** The list is sent with each step of who scrolls: what the worker knows is left out of it. */
  #untold({ form, levels, ...job }: Job): Job {
    const told = this.#told.get(job.frame);
    if (told || (told === false && !levels)) return job;
    this.#told.set(job.frame, levels !== undefined);
    return { ...job, form, levels };
  }

  #hear(message: FromLoader): void {
    switch (message.type) {
      case 'renew':
        // Who signs in again in another tab is let in here: each new try is as good as a question.
        return this.#port.post({ type: 'renewed', worked: true, headers: {} });
      case 'line':
        this.#underWay = message.underWay;
        break;
      case 'image': {
        const { frame, image, levels, held } = message;
        this.heldBytes = held;
        const kept = { ...image, bytes: image.samples.byteLength };
        this.#given.set(frame, image.level);
        this.#gone.delete(frame);
        this.cache.put(frame, kept);
        for (const client of this.#plans.keys()) client.onImage(frame, kept, levels);
        break;
      }
      case 'state':
        this.#rests(message.frame, message.state);
        for (const client of this.#plans.keys()) client.onState(message.frame, message.state, message.levels);
    }
    this.line = message.line;
    if (this.line.open > 0) for (const settle of this.#sent.splice(0)) settle();
  }

  #rest(frame: string, bytes: number): void {
    this.#restingBytes += bytes - (this.#resting.get(frame) ?? 0);
    if (bytes > 0) this.#resting.set(frame, bytes);
    else this.#resting.delete(frame);
  }

  /** Keeps codestreams that were received in part within their budget; some room is made at a time. */
  #rests(frame: string, state: StreamState): void {
    const bytes = state.state === 'resting' || state.state === 'idle' ? (state.have ?? 0) : 0;
    this.#rest(frame, bytes);
    if (this.#restingBytes <= this.budget.streams) return;
    const idle = [...this.#resting].map(([frame, bytes]) => ({ frame, bytes, far: this.cache.want(frame).far }));
    const frames = keepWithin(KEPT * this.budget.streams, idle);
    for (const each of frames) this.#rest(each, 0);
    this.#port.post({ type: 'release', frames });
  }

  /** Of what memory let go, the bytes stay with the worker, and are decoded again when it is wanted: until then it need not know. */
  #evicted(frame: string): void {
    const given = this.#given.get(frame);
    if (given === undefined || (this.cache.best(frame)?.level ?? Infinity) <= given) return;
    this.#given.delete(frame);
    this.#gone.add(frame);
  }
}

function byTurns(lists: readonly (readonly Job[])[]): readonly Job[] {
  if (lists.length === 1) return lists[0]!;
  const turns: Job[] = [];
  const longest = Math.max(0, ...lists.map(list => list.length));
  for (let n = 0; n < longest; n++) for (const list of lists) if (n < list.length) turns.push(list[n]!);
  return turns;
}
