/**
 * Decoding in workers. Frames are spread over them; a worker whose memory has grown past a bound is replaced when its frames are
 * closed, for WebAssembly memory never shrinks.
 */
import type { HtImage, Region } from './frame.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface PoolOptions {
  /** Workers; without it one less than the processors, 1 to 4. */
  workers?: number;
  /** Where the module is, or its bytes; without it, beside the worker's own file. */
  wasm?: string | ArrayBuffer;
  /** Bytes of working memory that one decoding may take. */
  maxMemory?: number;
  /** Bytes of memory at which a worker is replaced as soon as it is idle. 64 MiB without it. */
  recycleAt?: number;
  /** Makes a worker that runs `@firstlight/htj2k/worker`; for bundlers that want to see it. */
  createWorker?: () => Worker;
}

/** A codestream in a worker. */
export interface PooledFrame {
  /** Hands bytes over. With `transfer` their buffer goes along, and is empty here from then on. */
  push(bytes: Uint8Array, transfer?: boolean): void;
  /** Decodes a level (or a rectangle of it) of what has arrived until then; the samples are the caller's. */
  decode(level: number, region?: Region): Promise<HtImage>;
  /** Called with each finer level as it becomes whole. */
  onLevel: ((level: number, have: number) => void) | undefined;
  close(): void;
}

export class DecoderPool {
  readonly #options: PoolOptions;
  readonly #members: Member[] = [];
  readonly #most: number;
  #frames = 0;

  constructor(options: PoolOptions = {}) {
    this.#options = options;
    const processors = (globalThis.navigator as Navigator | undefined)?.hardwareConcurrency ?? 2;
    this.#most = Math.max(1, options.workers ?? Math.min(4, processors - 1));
  }

  /** Starts a worker now, so that the first frame finds it ready. */
  warm(): void {
    if (this.#members.length === 0) this.#start();
  }

  open(length: number): PooledFrame {
    const member = this.#least();
    const number = this.#frames++;
    const frame: PooledFrame = {
      onLevel: undefined,
      push: (bytes, transfer = false) => member.say({ type: 'push', frame: number, bytes }, transfer ? [bytes.buffer as ArrayBuffer] : []),
      decode: (level, region) => member.call(call => ({ type: 'decode', frame: number, call, level, region })),
      close: () => {
        if (!member.frames.delete(number)) return;
        member.say({ type: 'close', frame: number });
        this.#recycle(member);
      },
    };
    member.frames.set(number, frame);
    member.say({ type: 'open', frame: number, length });
    return frame;
  }

  /** Bytes of memory that the workers hold, as they last told. */
  get heldBytes(): number {
    return this.#members.reduce((sum, member) => sum + member.heldBytes, 0);
  }

  /** Ends all workers; what was asked for fails. */
  close(): void {
    for (const member of this.#members.splice(0)) member.end('the pool was closed');
  }

  /** The worker with the fewest frames; a new one while there may be more. */
  #least(): Member {
    const idle = this.#members.find(member => member.frames.size === 0);
    if (idle) return idle;
    if (this.#members.length < this.#most) return this.#start();
    return this.#members.reduce((least, member) => (member.frames.size < least.frames.size ? member : least));
  }

  #start(): Member {
    const member = new Member(this.#options, () => {
      const at = this.#members.indexOf(member);
      if (at >= 0) this.#members.splice(at, 1);
    });
    this.#members.push(member);
    return member;
  }

  #recycle(member: Member): void {
    if (member.frames.size > 0 || member.heldBytes < (this.#options.recycleAt ?? 64 << 20)) return;
    this.#members.splice(this.#members.indexOf(member), 1);
    member.end('the worker was replaced');
  }
}

interface Waiting {
  resolve(image: HtImage): void;
  reject(error: Error): void;
}

/** One worker, and who waits for it. */
class Member {
  readonly frames = new Map<number, PooledFrame>();
  heldBytes = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #worker: Promise<AnyWorker>;
  readonly #onFailure: () => void;
  #calls = 0;
  #ended: string | undefined;

  constructor(options: PoolOptions, onFailure: () => void) {
    this.#onFailure = onFailure;
    this.#worker = start(options, message => this.#hear(message), reason => this.#fail(reason));
    this.#worker.catch((error: Error) => this.#fail(error.message));
    this.say({ type: 'load', wasm: options.wasm, maxMemory: options.maxMemory });
  }

  say(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    if (this.#ended === undefined) void this.#worker.then(worker => worker.postMessage(message, transfer), () => undefined);
  }

  call(make: (call: number) => ToWorker): Promise<HtImage> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    const call = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#hold();
      this.say(make(call));
    });
  }

  end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
    void this.#worker.then(worker => worker.terminate(), () => undefined);
  }

  #fail(reason: string): void {
    this.end(reason);
    this.#onFailure();
  }

  #hear(message: FromWorker): void {
    switch (message.type) {
      case 'failed':
        return this.#fail(message.message);
      case 'level':
        return this.frames.get(message.frame)?.onLevel?.(message.level, message.have);
      case 'image':
        this.heldBytes = message.heldBytes;
        this.#waiting.get(message.call)?.resolve(message.image);
        break;
      case 'error':
        this.#waiting.get(message.call)?.reject(new Error(message.message));
        break;
      case 'ready':
        return;
    }
    this.#waiting.delete(message.call);
    this.#hold();
  }

  /** A thread of Node keeps the program alive while somebody waits for it, and no longer. */
  #hold(): void {
    void this.#worker.then(worker => (this.#waiting.size > 0 ? worker.ref?.() : worker.unref?.()), () => undefined);
  }
}

interface AnyWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  terminate(): unknown;
  ref?(): void;
  unref?(): void;
}

/** A worker of the browser, or of Node. */
async function start(options: PoolOptions, hear: (message: FromWorker) => void, fail: (reason: string) => void): Promise<AnyWorker> {
  if (options.createWorker || typeof Worker !== 'undefined') {
    const worker = options.createWorker?.() ?? new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    worker.onmessage = (event: MessageEvent<FromWorker>) => hear(event.data);
    worker.onerror = event => fail(event.message || 'the decoding worker could not be started');
    return worker;
  }
  const name = 'node:worker_threads';
  const { Worker: NodeWorker } = (await import(/* @vite-ignore */ name)) as { Worker: new (url: URL) => NodeThread };
  const file = './node-worker.js';
  const worker = new NodeWorker(new URL(file, import.meta.url));
  worker.on('message', message => hear(message as FromWorker));
  worker.on('error', error => fail(String(error)));
  worker.unref();
  return worker;
}

interface NodeThread extends AnyWorker {
  on(event: 'message' | 'error', listener: (value: unknown) => void): void;
  unref(): void;
}
