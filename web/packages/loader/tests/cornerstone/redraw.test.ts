import { expect, it } from 'vitest';
import { until } from '../server.ts';
import type { AnyViewport } from '../../src/cornerstone/api.ts';
import { Redraw } from '../../src/cornerstone/redraw.ts';

const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';
const later = (ms: number) => new Promise(done => setTimeout(done, ms));

it('draws panes in batches, one after the other, and at once where that is asked for', async () => {
  const element = new EventTarget();
  let drawn = 0;
  const engine = { renderViewports: () => void drawn++ };
  const redraw = new Redraw(() => [{ engine, viewport: { id: 'pane', element } as unknown as AnyViewport }]);
  for (let n = 0; n < 100; n++) redraw.soon();
  await until(() => drawn === 1);
  // What comes while it is being drawn waits for its end.
  redraw.soon();
  redraw.now();
  await later(10);
  expect(drawn).toBe(1);
  element.dispatchEvent(new Event(RENDERED));
  expect(drawn).toBe(1);
  await until(() => drawn === 2);
  element.dispatchEvent(new Event(RENDERED));
  redraw.soon();
  redraw.close();
  await later(200);
  expect(drawn).toBe(2);
});

it('goes on where a pane is never drawn', async () => {
  let drawn = 0;
  const redraw = new Redraw(() => [{ engine: { renderViewports: () => void drawn++ }, viewport: { id: 'pane', element: new EventTarget() } as unknown as AnyViewport }]);
  redraw.now();
  redraw.soon();
  await until(() => drawn === 2, 10_000);
  redraw.close();
});
