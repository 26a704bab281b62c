/** What a session is told by this page, and in which order. */
import { afterEach, expect, it, vi } from 'vitest';
import { Consultation, type Host } from '../src/lazy/consult.ts';
import type { Viewport } from '../src/view/viewport.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('tells one event after the other, and of those that wait the last', async () => {
  vi.useFakeTimers();
  const sent: { at: [number, number]; answer: (response: Response) => void }[] = [];
  let hello: (event: { data: string }) => void = () => undefined;
  const line = { hidden: true, replaceChildren: () => undefined };
  const made = () => ({ dataset: {}, append: () => undefined, addEventListener: () => undefined, style: {} });
  vi.stubGlobal('document', { getElementById: () => line, createElement: made });
  vi.stubGlobal('EventSource', class {
    addEventListener = (name: string, hear: typeof hello) => void (name === 'hello' && (hello = hear));
    close = () => undefined;
  });
  vi.stubGlobal('fetch', (_: string, { body }: { body: string }) => new Promise<Response>(answer => sent.push({ at: (JSON.parse(body) as { data: { at: [number, number] } }).data.at, answer })));
  const viewport = { picture: { instance: '1', frame: 1 }, pointers: [], redraw: () => undefined } as unknown as Viewport;
  const session = new Consultation('id', { active: viewport, marks: { all: [], onChange: () => () => undefined } } as unknown as Host);
  hello({ data: JSON.stringify({ participant: 1, key: 'k', presenter: null, participants: [1] }) });

  for (let x = 1; x <= 3; x++) session.pointed(viewport, { x, y: 0 });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(sent.map(({ at }) => at[0])).toEqual([1]);
  sent[0]!.answer(new Response(null, { status: 204 }));
  await vi.advanceTimersByTimeAsync(100);
  expect(sent.map(({ at }) => at[0])).toEqual([1, 3]);

  // What came too often is told again.
  sent[1]!.answer(new Response(null, { status: 429 }));
  await vi.advanceTimersByTimeAsync(100);
  expect(sent.map(({ at }) => at[0])).toEqual([1, 3, 3]);
  session.close();
});
