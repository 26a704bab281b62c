/** The sign over a viewport that shows a preview, and the mark that hides figures computed from one. */
import type { Completeness } from '../cornerstone/completeness.ts';

const BADGE = 'firstlight-preview-badge';
const STYLE = `
.${BADGE} {
  position: absolute; z-index: 20; top: 8px; left: 50%; transform: translateX(-50%);
  padding: 3px 12px; border-radius: 12px; pointer-events: none; white-space: nowrap;
  font: 600 13px/18px Inter, system-ui, sans-serif; color: #1a1200; background: #ffb020;
}
.${BADGE}.refused { animation: firstlight-refused 0.4s; }
@keyframes firstlight-refused { 50% { background: #ff5a36; transform: translateX(-50%) scale(1.12); } }
[data-firstlight="preview"] .svg-layer text, [data-firstlight="preview"] .svg-layer [data-id*="textBox"] { visibility: hidden; }
`;

/** Shows on `element` what it holds: a badge over a preview, nothing over a complete image. */
export function showState(element: HTMLElement, shown: Completeness): void {
  element.dataset.firstlight = shown.state;
  const badge = element.querySelector<HTMLElement>(`:scope > .${BADGE}`);
  if (shown.state !== 'preview') {
    badge?.remove();
    return;
  }
  const text = `Preview${shown.share === null ? '' : ` ${Math.floor(shown.share * 100)} %`} · not for measurement`;
  const target = badge ?? addBadge(element);
  if (target.textContent !== text) target.textContent = text;
}

/** Draws the eye to the badge: something was refused because of it. */
export function flash(element: HTMLElement): void {
  const badge = element.querySelector<HTMLElement>(`:scope > .${BADGE}`);
  badge?.classList.remove('refused');
  void badge?.offsetWidth;
  badge?.classList.add('refused');
}

function addBadge(element: HTMLElement): HTMLElement {
  addStyle(element.ownerDocument);
  const badge = element.ownerDocument.createElement('div');
  badge.className = BADGE;
  badge.setAttribute('role', 'status');
  element.append(badge);
  return badge;
}

function addStyle(document: Document): void {
  if (document.getElementById(`${BADGE}-style`)) return;
  const style = document.createElement('style');
  style.id = `${BADGE}-style`;
  style.textContent = STYLE;
  document.head.append(style);
}
