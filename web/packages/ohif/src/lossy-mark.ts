/** A mark on an image that was compressed with loss (0028,2110), and how much (0028,2112): it stays, for what was lost does not come. */
import type { Viewport } from './host.ts';

const MARK = 'firstlight-lossy';
const STYLE = `position:absolute;z-index:19;right:8px;top:50%;padding:2px 8px;border-radius:4px;pointer-events:none;
font:500 12px/16px Inter,system-ui,sans-serif;color:#ffd28a;background:#000a;border:1px solid #ffb02088`;

/** What is said of an instance, as OHIF's metadata has it; nothing of one without loss. */
export function lossOf(instance: Record<string, unknown> | undefined): string | undefined {
  if (instance?.LossyImageCompression !== '01') return undefined;
  const told = [instance.LossyImageCompressionRatio ?? []].flat().map(Number).filter(ratio => ratio > 0);
  // Steps one after the other have a ratio each.
  return told.length === 0 ? 'Lossy, ratio not told' : `Lossy ${told.map(ratio => `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)} : 1`).join(', then ')}`;
}

/** Shows it on the viewport, or takes it away. */
export function showLoss(viewport: Viewport, words: string | undefined): void {
  const { element } = viewport;
  const mark = element.querySelector<HTMLElement>(`:scope > .${MARK}`);
  if (words === undefined) return mark?.remove();
  const target = mark ?? addMark(element);
  if (target.textContent !== words) target.textContent = words;
}

function addMark(element: HTMLElement): HTMLElement {
  const mark = element.ownerDocument.createElement('div');
  mark.className = MARK;
  mark.style.cssText = STYLE;
  element.append(mark);
  return mark;
}
