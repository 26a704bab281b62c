/** A server for tests: one frame, handed out in pieces, that can fail in every way. */
import { readFileSync } from 'node:fs';
import type { HtImage } from '@firstlight/htj2k';
import { levelsOfCodestream } from '../src/codestream.ts';
import type { Decoders } from '../src/frame-stream.ts';

export const codestream = new Uint8Array(readFileSync(new URL('../../htj2k/tests/data/formula.j2c', import.meta.url)));
export const LEVELS = levelsOfCodestream(codestream)!;

export interface Fault {
  /** The request (from 0) that it befalls. */
  request: number;
  /** Bytes that are given first. */
  after?: number;
  status?: number;
  headers?: Record<string, string>;
  /** The line is lost, or nothing more comes. */
  how?: 'lost' | 'stalled';
}

export interface Asked {
  url: string;
  authorization: string | null;
  range: string | null;
  ifRange: string | null;
  /** Bytes that were handed out. */
  given: number;
  aborted: boolean;
}

export class TestServer {
  readonly asked: Asked[] = [];
  bytes: Uint8Array = codestream;
  etag = '"one"';
  faults: Fault[] = [];
  piece = 300;
  /** Transfer syntax. */
  syntax = '1.2.840.10008.1.2.4.202';
  /** Whether a Content-Length is told. */
  length = true;

  readonly fetch: typeof fetch = async (url, init) => {
    const headers = new Headers(init?.headers);
    const entry: Asked = { url: String(url), authorization: headers.get('Authorization'), range: headers.get('Range'), ifRange: headers.get('If-Range'), given: 0, aborted: false };
    const fault = this.faults.find(one => one.request === this.asked.length);
    this.asked.push(entry);
    if (fault?.how === 'lost' && fault.after === undefined) throw new TypeError('fetch failed');
    if (fault?.status) return new Response('because\n', { status: fault.status, headers: fault.headers ?? {} });
    const told = /bytes=(\d+)-(\d*)/.exec(entry.range ?? '');
    const changed = entry.ifRange !== null && entry.ifRange !== this.etag;
    const [from, to] = told && !changed ? [Number(told[1]), told[2] ? Number(told[2]) + 1 : this.bytes.length] : [0, this.bytes.length];
    if (from >= this.bytes.length) return new Response('', { status: 416 });
    const body = this.#body(this.bytes.subarray(from, Math.min(to, this.bytes.length)), entry, fault, init?.signal ?? undefined);
    const answer: Record<string, string> = { 'Content-Type': `application/octet-stream; transfer-syntax=${this.syntax}`, ETag: this.etag };
    if (this.length) answer['Content-Length'] = String(Math.min(to, this.bytes.length) - from);
    if (told && !changed) answer['Content-Range'] = `bytes ${from}-${Math.min(to, this.bytes.length) - 1}/${this.bytes.length}`;
    return new Response(body, { status: told && !changed ? 206 : 200, headers: answer });
  };

  /** Bytes handed out in all. */
  get given(): number {
    return this.asked.reduce((sum, { given }) => sum + given, 0);
  }

  #body(bytes: Uint8Array, entry: Asked, fault: Fault | undefined, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
    let at = 0;
    return new ReadableStream<Uint8Array>(
      {
        start: controller => {
          signal?.addEventListener('abort', () => {
            entry.aborted = true;
            controller.error(signal.reason instanceof DOMException ? signal.reason : (signal.reason as unknown));
          });
        },
        pull: async controller => {
          await new Promise(done => setTimeout(done, 0));
          if (signal?.aborted) return;
          const most = fault?.after ?? bytes.length;
          const piece = bytes.subarray(at, Math.min(at + this.piece, most));
          if (piece.length > 0) {
            at += piece.length;
            entry.given += piece.length;
            controller.enqueue(piece.slice());
          } else if (fault?.how === 'stalled') {
            await new Promise(() => undefined);
          } else if (fault?.how === 'lost') {
            controller.error(new TypeError('network error'));
          } else {
            controller.close();
          }
        },
      },
      { highWaterMark: 0 }
    );
  }
}

/** Stands for the decoder: it knows whether the bytes of a level were there. */
export class TestDecoders implements Decoders {
  open_ = 0;
  decoded: number[] = [];
  /** Whether a level is decoded from what there is of it, as the real decoder does. */
  lenient = false;

  open(): ReturnType<Decoders['open']> {
    this.open_++;
    let have = 0;
    return {
      push: bytes => void (have += bytes.length),
      decode: async level => {
        await new Promise(done => setTimeout(done, 1));
        const need = LEVELS.ends[LEVELS.ends.length - 1 - level]!;
        if (have < need && !this.lenient) throw new Error(`level ${level} needs ${need} bytes, there are ${have}`);
        this.decoded.push(level);
        const [width, height] = [Math.ceil(LEVELS.width / 2 ** level), Math.ceil(LEVELS.height / 2 ** level)];
        const image: HtImage = { width, height, components: 1, precision: 12, signed: true, level, complete: have >= need, need, samples: new Int16Array(width * height).fill(100 + level) };
        return image;
      },
      close: () => void this.open_--,
    };
  }
}

export async function until(what: () => boolean, ms = 3000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise(done => setTimeout(done, 2));
  }
}
