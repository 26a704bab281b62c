import { expect, it } from 'vitest';
import { isAt, paneExpected, rememberPane, type Box } from './place.ts';

/** A window of this size, and a pane in it. */
function view(innerWidth: number, innerHeight: number, pane?: Box, kept = new Map<string, string>()): Window {
  const localStorage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const document = { querySelector: () => (pane ? { getBoundingClientRect: () => pane } : null) };
  return { innerWidth, innerHeight, localStorage, document } as unknown as Window;
}

it('expects the pane where it is, else as far from the edges of the window as it was, else where OHIF begins', () => {
  const kept = new Map<string, string>();
  const pane = { left: 300, top: 60, width: 800, height: 700 };
  expect(paneExpected(view(1400, 900, pane, kept))).toEqual(pane);
  const guess = paneExpected(view(1400, 900, undefined, kept));
  expect(guess.left).toBeGreaterThan(0);
  expect(guess.left + guess.width).toBeLessThanOrEqual(1400);
  rememberPane(view(1400, 900, pane, kept));
  expect(paneExpected(view(1400, 900, undefined, kept))).toEqual(pane);
  expect(paneExpected(view(1600, 1000, undefined, kept))).toEqual({ ...pane, width: 1000, height: 800 });
});

it('takes all of the window where neither leaves anything', () => {
  const kept = new Map([['firstlight-pane', '[300,60,300,60]']]);
  expect(paneExpected(view(390, 844, undefined, kept))).toEqual({ left: 0, top: 0, width: 390, height: 844 });
});

it('takes what is no place for none', () => {
  const guess = paneExpected(view(1400, 900));
  for (const told of ['', 'null', '{}', '[1,2,3]', '["a",0,0,0]', '[-5,0,0,0]', '{']) expect(paneExpected(view(1400, 900, undefined, new Map([['firstlight-pane', told]])))).toEqual(guess);
  const forbidden = Object.defineProperty(view(1400, 900, { left: 0, top: 0, width: 700, height: 700 }), 'localStorage', { get: () => { throw new Error('forbidden'); } });
  rememberPane(forbidden);
  expect(paneExpected(forbidden).width).toBe(700);
});

it('takes half a pixel for nothing', () => {
  const box = { left: 10, top: 10, width: 100, height: 100 };
  expect(isAt(box, { ...box, left: 10.4 })).toBe(true);
  expect(isAt(box, { ...box, width: 101 })).toBe(false);
});
