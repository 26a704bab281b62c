/**
 * Where OHIF draws a study's first image: where it is now, or else where it will be. What is remembered from study to study is how far that
 * place is from the window's four edges, and nothing else.
 */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The canvas of Cornerstone3D in the first pane of OHIF's grid. */
const CANVAS = '[data-cy="viewport-pane"] .cornerstone-canvas';
const PANE = '[data-cy="viewport-pane"]';
const KEY = 'firstlight-pane';
/** Left, top, right and bottom: the list of studies open, the panel of measurements closed, as OHIF 3.13 begins. */
const INSETS: readonly number[] = [287, 51, 38, 7];
/** Above OHIF's own sign that it is loading (50), which covers the pane. */
export const LAYER = 60;
/** A place smaller than this is none. */
const LEAST = 256;

/** The place on the page as it is; `undefined` while there is none. */
export function paneNow(document: Document): Box | undefined {
  const element = document.querySelector(CANVAS) ?? document.querySelector(PANE);
  if (!element) return undefined;
  const { left, top, width, height } = element.getBoundingClientRect();
  return width > 0 && height > 0 ? { left, top, width, height } : undefined;
}

/** The place where it was when a study was last shown. */
function paneRemembered(view: Window): Box | undefined {
  const insets = read(view);
  return insets && within(insets, view.innerWidth, view.innerHeight);
}

/** The place as it is, or as it will be. */
export const paneExpected = (view: Window): Box => paneNow(view.document) ?? paneAhead(view);

/** The place that the next study will have: as the last one had it when it was first shown, or as OHIF begins. */
export function paneAhead(view: Window): Box {
  const { innerWidth, innerHeight } = view;
  return paneRemembered(view) ?? within(INSETS, innerWidth, innerHeight) ?? { left: 0, top: 0, width: innerWidth, height: innerHeight };
}

export function rememberPane(view: Window): void {
  const { document, innerWidth, innerHeight } = view;
  const pane = paneNow(document);
  if (!pane) return;
  const insets = [pane.left, pane.top, innerWidth - pane.left - pane.width, innerHeight - pane.top - pane.height].map(inset => Math.round(inset * 100) / 100);
  try {
    view.localStorage.setItem(KEY, JSON.stringify(insets));
  } catch {
    // Storage is full or forbidden: the next guess is no better than this one was.
  }
}

/** Whether two places are one to the eye. */
export const isAt = (a: Box, b: Box): boolean => (['left', 'top', 'width', 'height'] as const).every(side => Math.abs(a[side] - b[side]) < 0.5);

function read(view: Window): number[] | undefined {
  try {
    const told: unknown = JSON.parse(view.localStorage.getItem(KEY) ?? 'null');
    return Array.isArray(told) && told.length === 4 && told.every(Number.isFinite) ? told : undefined;
  } catch {
    return undefined;
  }
}

function within([left, top, right, bottom]: readonly number[], innerWidth: number, innerHeight: number): Box | undefined {
  const box = { left: left!, top: top!, width: innerWidth - left! - right!, height: innerHeight - top! - bottom! };
  return box.width >= LEAST && box.height >= LEAST && left! >= 0 && top! >= 0 ? box : undefined;
}
