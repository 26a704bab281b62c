/** The sign over a viewport that shows a preview, and the mark that hides figures computed from one. */
import type { Completeness } from '@firstlight/loader/cornerstone';

const BADGE = 'firstlight-preview-badge';
const STYLE = `
.${BADGE} {
  position: absolute; z-index: 20; top: 8px; left: 50%; transform: translateX(-50%);
  box-sizing: border-box; width: max-content; max-width: calc(100% - 16px); text-align: center; text-wrap: balance;
  padding: 3px 12px; border-radius: 12px; pointer-events: none;
  font: 600 13px/18px Inter, system-ui, sans-serif; color: #1a1200; background: #ffb020;
}
.${BADGE}.refused { animation: firstlight-refused 0.4s; }
@keyframes firstlight-refused { 50% { background: #ff5a36; transform: translateX(-50%) scale(1.12); } }
[data-firstlight="preview"] .svg-layer text, [data-firstlight="preview"] .svg-layer [data-id*="textBox"] { visibility: hidden; }
@media print {
  [data-firstlight="preview"] canvas { visibility: hidden !important; }
  [data-firstlight="preview"]::after { content: "A preview is not printed: print again when the image is complete."; position: absolute; inset: 45% 8px auto; text-align: center; color: #000; background: #fff; }
}
`;

/** Shows on `element` what it holds: a badge over a preview, nothing over a complete image. `more` is said beside it, or where nothing is shown yet. */
export function showState(element: HTMLElement, shown: Completeness, more = ''): void {
  element.dataset.firstlight = shown.state;
  const badge = element.querySelector<HTMLElement>(`:scope > .${BADGE}`);
  const text = shown.state === 'preview' ? [...words(shown), 'not for measurement', more].filter(Boolean).join(' · ') : shown.state === 'empty' ? more : '';
  if (text === '') {
    badge?.remove();
    return;
  }
  const target = badge ?? addBadge(element);
  if (target.textContent !== text) target.textContent = text;
}

/** What is shown, in words. */
function words({ share, why = {} }: Extract<Completeness, { state: 'preview' }>): string[] {
  if (why.other) return ['This image is not loaded yet: another is shown'];
  const percent = (part: number) => `${Math.floor(part * 100)} %`;
  const all = [`Preview${share === null ? '' : ` ${percent(share)}`}`];
  if (why.missing) all.push(`${percent(Math.max(0.01, why.missing))} not loaded yet`);
  if (why.interpolated) all.push(`${percent(Math.max(0.01, why.interpolated))} interpolated`);
  return all;
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
