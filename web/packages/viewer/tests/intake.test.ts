/** Adding images: which files go, how many in a request, and what is told of them. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { mayBeDicom, walk } from '../src/lazy/intake/files.ts';
import { batches, NotTaken, outcome, store } from '../src/lazy/intake/store.ts';

const file = (name: string, bytes: BlobPart[]) => new File(bytes, name);
const instance = (name: string) => file(name, [new Uint8Array(128), 'DICM', new Uint8Array(40)]);

async function all<T>(of: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of of) found.push(one);
  return found;
}

async function* these<T>(...items: T[]) {
  yield* items;
}

/** A folder as a drop gives it: entries come a few at a time. */
const folder = (name: string, ...children: unknown[]) => ({
  isFile: false,
  fullPath: `/${name}`,
  createReader() {
    const left = [...children];
    return { readEntries: (done: (some: unknown[]) => void) => done(left.splice(0, 2)) };
  },
});
const entry = (path: string) => ({ isFile: true, fullPath: `/${path}`, file: (done: (file: File) => void) => done(instance(path)) });

describe('which files go', () => {
  it('folders are walked, whatever they tell at a time', async () => {
    const cd = folder('cd', entry('cd/a'), entry('cd/b'), folder('cd/deep', entry('cd/deep/c')), entry('cd/d'));
    expect((await all(walk([cd as unknown as FileSystemEntry, instance('e')]))).map(({ path }) => path)).toEqual(['cd/a', 'cd/b', 'cd/deep/c', 'cd/d', 'e']);
  });

  it('what has DICM at 128 or a name in .dcm, but no directory of a disc', async () => {
    const may = (one: File) => mayBeDicom({ file: one, path: one.name });
    expect(await Promise.all([instance('IM0001'), file('old.DCM', ['no preamble']), file('autorun.inf', ['x'.repeat(200)]), instance('DICOMDIR'), file('short', [])].map(may))).toEqual([true, true, false, false, false]);
  });
});

describe('requests', () => {
  it('hold so many files and bytes; a larger file goes alone', async () => {
    const sized = (size: number) => ({ file: new Blob([new Uint8Array(size)]) });
    const groups = await all(batches(these(sized(4), sized(4), sized(30), sized(1), sized(1), sized(1), sized(1)), { files: 3, bytes: 10 }));
    expect(groups.map(group => group.map(({ file }) => file.size))).toEqual([[4, 4], [30], [1, 1, 1], [1]]);
  });
});

describe('answers', () => {
  afterEach(() => vi.unstubAllGlobals());
  const answering = (...answers: (Response | Error)[]) => {
    const sent: { type: string; body: string }[] = [];
    vi.stubGlobal('window', { addEventListener: () => undefined });
    vi.stubGlobal('navigator', { onLine: true });
    vi.stubGlobal('fetch', async (_: string, { headers, body }: { headers: Record<string, string>; body: Blob }) => {
      sent.push({ type: headers['Content-Type']!, body: await body.text() });
      const answer = answers.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    });
    return sent;
  };
  const json = (set: object, status = 200) => new Response(JSON.stringify(set), { status, headers: { 'Content-Type': 'application/dicom+json' } });

  it('tell what is stored, and why the rest is not', () => {
    const item = (uid: string | undefined, reason: number, comment?: string) => ({ ...(uid && { '00081155': { vr: 'UI', Value: [uid] } }), '00081197': { vr: 'US', Value: [reason] }, ...(comment && { '00000902': { vr: 'LO', Value: [comment] } }) });
    const set = { '00081199': { vr: 'SQ', Value: [{}, {}] }, '00081198': { vr: 'SQ', Value: [item('1.2', 0x0111)] }, '0008119A': { vr: 'SQ', Value: [item(undefined, 0xc000, 'not DICOM')] } };
    expect(outcome(set as never)).toEqual({ stored: 2, refused: [{ instance: '1.2', reason: 'reason 0111H' }, { instance: '', reason: 'not DICOM' }] });
  });

  it('of a line that is lost and a server that is busy are waited out; the same files go again', async () => {
    const sent = answering(new TypeError('lost'), new Response('busy', { status: 503 }), json({ '00081199': { vr: 'SQ', Value: [{}] } }));
    const told: string[] = [];
    expect(await store([instance('a')], sentence => told.push(sentence), new AbortController().signal)).toEqual({ stored: 1, refused: [] });
    expect(told).toEqual(['Connection lost: trying again', 'The server answered 503: trying again', '']);
    expect(sent).toHaveLength(3);
    const boundary = /boundary=(\S+)/.exec(sent[2]!.type)![1]!;
    expect(sent[2]!.body.startsWith(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`)).toBe(true);
    expect(sent[2]!.body.endsWith(`\r\n--${boundary}--\r\n`)).toBe(true);
  });

  it('of an archive that takes nothing end it', async () => {
    answering(new Response('not allowed', { status: 405 }));
    await expect(store([instance('a')], () => undefined, new AbortController().signal)).rejects.toBeInstanceOf(NotTaken);
  });
});
