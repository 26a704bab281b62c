/** Hands on a viewport: one finger or the mouse is the chosen tool, two fingers zoom and pan, the wheel scrolls or zooms, keys do all of it. */
import { zoomed, type Point } from './geometry.ts';
import { newId } from './marks.ts';
import { needsValues, refusal, type Mark } from './measure.ts';
import { isMark, type Tool } from './tools.ts';
import type { Viewport } from './viewport.ts';

export interface Hands {
  tool(): Tool;
  /** Plays or stops. */
  play(): void;
}

export function gestures(viewport: Viewport, hands: Hands): void {
  const { place } = viewport;
  const held = new Map<number, Point>();
  let travelled = 0;
  let drawn: Mark | undefined;

  place.addEventListener('pointerdown', event => {
    viewport.listener.onActive(viewport);
    const now = viewport.picture;
    if (!now) return;
    place.setPointerCapture(event.pointerId);
    const here = viewport.point(event);
    held.set(event.pointerId, here);
    travelled = 0;
    // A second finger makes it a pinch: what the first one began to draw was not meant.
    if (drawn) viewport.marks.remove(drawn.id);
    drawn = undefined;
    const tool = hands.tool();
    if (held.size > 1 || !isMark(tool) || event.button !== 0) return;
    const point = viewport.inPicture(here)!;
    drawn = { id: newId(), kind: tool, instance: now.instance, frame: now.frame, points: tool === 'point' ? [point] : [point, point] };
    viewport.marks.put(drawn);
  });

  place.addEventListener('pointermove', event => {
    const here = viewport.point(event);
    viewport.listener.onPoint(viewport, viewport.inPicture(here) ?? null);
    const before = held.get(event.pointerId);
    if (!before || !viewport.picture) return;
    held.set(event.pointerId, here);
    if (held.size === 2) return pinch(viewport, [...held].find(([id]) => id !== event.pointerId)![1], before, here);
    if (held.size > 2) return;
    if (drawn) {
      const point = viewport.inPicture(here)!;
      const [first] = drawn.points;
      drawn = { ...drawn, points: drawn.kind === 'point' ? [point] : [first!, point] };
      delete drawn.words;
      return viewport.marks.put(drawn);
    }
    const move = { x: here.x - before.x, y: here.y - before.y };
    const tool = event.buttons === 4 ? 'pan' : event.buttons === 2 ? 'zoom' : hands.tool();
    if (tool === 'scroll') travelled = scroll(viewport, travelled + move.y);
    else drag(viewport, tool, move);
  });

  place.addEventListener('pointerleave', () => viewport.listener.onPoint(viewport, null));
  for (const type of ['pointerup', 'pointercancel'] as const) {
    place.addEventListener(type, event => {
      held.delete(event.pointerId);
      if (drawn) finish(viewport, drawn, event);
      drawn = undefined;
    });
  }
  place.addEventListener('wheel', wheel(viewport), { passive: false });
  place.addEventListener('contextmenu', event => event.preventDefault());
  place.addEventListener('focus', () => viewport.listener.onActive(viewport));
  place.addEventListener('keydown', event => keys(viewport, hands, event));
}

/** A mark that is no larger than a slip of the finger goes; one that needs what is not there yet says so, and has it fetched. */
function finish(viewport: Viewport, mark: Mark, event: PointerEvent): void {
  const [a, b] = mark.points;
  if (b && Math.hypot(b.x - a!.x, b.y - a!.y) < 1) return viewport.marks.remove(mark.id);
  const reason = needsValues(mark.kind) ? refusal(viewport.image) : undefined;
  if (!reason) return;
  const box = viewport.place.getBoundingClientRect();
  viewport.hint(reason, { x: event.clientX - box.left, y: event.clientY - box.top });
  viewport.stack?.wantFull();
}

function drag(viewport: Viewport, tool: Tool, move: Point): void {
  const { tone, view, size } = viewport;
  if (tool === 'window' && tone) {
    const step = Math.max(tone.width, 1e-9) / (300 * (devicePixelRatio || 1));
    const { lut: _, ...window } = tone;
    viewport.setTone({ ...window, width: Math.max(tone.width + move.x * step, 1e-9), centre: tone.centre + move.y * step });
  } else if (tool === 'pan') {
    viewport.setView({ ...view, pan: { x: view.pan.x + move.x, y: view.pan.y + move.y } });
  } else if (tool === 'zoom') {
    viewport.setView(zoomed(viewport.picture!, size, view, Math.exp(move.y / 200), middle(viewport)));
  }
}

const middle = ({ size }: Viewport): Point => ({ x: size.width / 2, y: size.height / 2 });

/** Scrolls by what was travelled; gives what is left of it. */
function scroll(viewport: Viewport, travelled: number): number {
  const step = Math.max(6, Math.min(30, viewport.size.height / 2 / viewport.count));
  const slices = Math.trunc(travelled / step);
  if (slices !== 0) viewport.go(viewport.at + slices);
  return travelled - slices * step;
}

/** Two fingers: apart is zoom, together along is pan. */
function pinch(viewport: Viewport, other: Point, before: Point, here: Point): void {
  const between = { x: (here.x + other.x) / 2, y: (here.y + other.y) / 2 };
  const by = Math.hypot(here.x - other.x, here.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
  const view = zoomed(viewport.picture!, viewport.size, viewport.view, by, between);
  viewport.setView({ ...view, pan: { x: view.pan.x + (here.x - before.x) / 2, y: view.pan.y + (here.y - before.y) / 2 } });
}

function wheel(viewport: Viewport): (event: WheelEvent) => void {
  let wheeled = 0;
  return event => {
    const now = viewport.picture;
    if (!now) return;
    event.preventDefault();
    viewport.listener.onActive(viewport);
    if (event.ctrlKey || viewport.count < 2) return viewport.setView(zoomed(now, viewport.size, viewport.view, Math.exp(-event.deltaY / 300), viewport.point(event)));
    wheeled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(wheeled);
    wheeled -= steps;
    if (steps !== 0) viewport.go(viewport.at + steps);
  };
}

function keys(viewport: Viewport, hands: Hands, event: KeyboardEvent): void {
  const now = viewport.picture;
  if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
  const zoom = (by: number) => viewport.setView(zoomed(now, viewport.size, viewport.view, by, middle(viewport)));
  const acts: Record<string, () => void> = {
    ArrowDown: () => viewport.go(viewport.at + 1),
    ArrowRight: () => viewport.go(viewport.at + 1),
    ArrowUp: () => viewport.go(viewport.at - 1),
    ArrowLeft: () => viewport.go(viewport.at - 1),
    PageDown: () => viewport.go(viewport.at + 10),
    PageUp: () => viewport.go(viewport.at - 10),
    Home: () => viewport.go(0),
    End: () => viewport.go(Infinity),
    '+': () => zoom(1.25),
    '-': () => zoom(0.8),
    i: () => viewport.invert(),
    r: () => viewport.reset(),
    ' ': () => hands.play(),
    Delete: () => removeLast(viewport),
    Backspace: () => removeLast(viewport),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** Takes back the last own mark of the picture. */
export function removeLast(viewport: Viewport): void {
  const last = viewport.picture && viewport.marks.of(viewport.picture).filter(mark => !mark.foreign).at(-1);
  if (last) viewport.marks.remove(last.id);
}
