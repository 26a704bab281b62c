import { expect, test } from 'vitest';
import { Pace } from '../../src/cornerstone/pace.ts';

test('a picture that is not drawn before the next slice makes those that follow coarser, for a while', () => {
  const pace = new Pace();
  const pass = (isDrawn: boolean) => {
    pace.handed();
    if (isDrawn) pace.drawn();
    pace.turned(true);
  };
  pass(true);
  expect(pace.isBehind).toBe(false);
  pass(false);
  expect(pace.isBehind).toBe(true);
  for (let n = 0; n < 39; n++) pass(true);
  expect(pace.isBehind).toBe(true);
  pass(true);
  expect(pace.isBehind).toBe(false);
});

test('a slice of which nothing had come, and one left after a pause, tell nothing of the page', () => {
  const pace = new Pace();
  pace.turned(true);
  pace.handed();
  pace.turned(false);
  expect(pace.isBehind).toBe(false);
});
