/** A button in OHIF's toolbar that opens a small panel: what is shown, what the line gives, and whether full quality is wanted whatever the line. */
import type { Services } from './host.ts';

/** What the panel tells. */
export interface Told {
  /** Of the image in the active viewport. */
  image: string;
  /** Bytes of images received since the page was opened. */
  bytes: number;
  /** Bytes a second, and ms to a first byte. */
  throughput: number | undefined;
  delay: number | undefined;
  /** Milliseconds from the opening of the study to its first image. */
  first: number | undefined;
  savesData: boolean;
}

/** What the user decides. */
export interface Choice {
  on: boolean;
}

const PANEL = 'firstlight-quality';
const STYLE = `
.${PANEL} { position: fixed; z-index: 40; width: 300px; padding: 12px 14px; border: 1px solid #2a4a6b; border-radius: 8px; background: #0b1a2b; color: #e6edf3; font: 13px/19px Inter, system-ui, sans-serif; box-shadow: 0 8px 28px #000a; }
.${PANEL} h2 { margin: 0 0 6px; font-size: 14px; font-weight: 600; }
.${PANEL} dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 14px; margin: 0 0 8px; }
.${PANEL} dt { color: #9fb3c8; } .${PANEL} dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.${PANEL} label { display: flex; gap: 8px; align-items: baseline; padding: 3px 0; cursor: pointer; }
.${PANEL} small { display: block; color: #9fb3c8; font-size: 12px; line-height: 17px; }
.${PANEL} :focus-visible { outline: 2px solid #5acce6; outline-offset: 2px; }
`;
const EVERY_MS = 500;

export class QualityPanel {
  readonly #document: Document;
  readonly #tell: () => Told;
  readonly #choice: Choice;
  #panel: HTMLElement | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(document: Document, tell: () => Told, choice: Choice) {
    [this.#document, this.#tell, this.#choice] = [document, tell, choice];
  }

  /** Puts its button into the toolbar. */
  addTo({ toolbarService }: Services): void {
    if (!toolbarService) return;
    const props = { icon: 'settings', label: 'Image quality', tooltip: 'Image quality and the line', commands: () => this.toggle(), evaluate: 'evaluate.action' };
    toolbarService.register([{ id: 'FirstlightQuality', uiType: 'ohif.toolButton', props }]);
    toolbarService.updateSection('secondary', ['FirstlightQuality']);
  }

  toggle(): void {
    this.#panel ? this.close() : this.#open();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#document.removeEventListener('pointerdown', this.#outside, true);
    this.#document.removeEventListener('keydown', this.#escape, true);
    this.#panel?.remove();
    this.#panel = undefined;
  }

  #open(): void {
    addStyle(this.#document);
    const panel = (this.#panel = this.#document.createElement('section'));
    panel.className = PANEL;
    panel.setAttribute('aria-label', 'Image quality');
    panel.innerHTML = `<h2>Image quality</h2><dl></dl>
      <label><input type="radio" name="${PANEL}" value="line"><span>By the line<small>Useful images at once; what is on the screen becomes full quality</small></span></label>
      <label><input type="radio" name="${PANEL}" value="full"><span>Always full<small>Every image of the series comes whole, the nearest first</small></span></label>
      <small class="saves" hidden>This device saves data: what is not on the screen is fetched only with “Always full”.</small>`;
    for (const input of panel.querySelectorAll('input')) {
      input.checked = (input.value === 'full') === this.#choice.on;
      input.addEventListener('change', () => (this.#choice.on = input.value === 'full'));
    }
    this.#document.body.append(panel);
    this.#place(panel);
    this.#say();
    this.#timer = setInterval(() => this.#say(), EVERY_MS);
    this.#document.addEventListener('pointerdown', this.#outside, true);
    this.#document.addEventListener('keydown', this.#escape, true);
    panel.querySelector<HTMLInputElement>('input:checked')?.focus();
  }

  /** Under its button, or under the header where that is not found. */
  #place(panel: HTMLElement): void {
    const box = this.#button()?.getBoundingClientRect() ?? { left: 12, bottom: 52 };
    panel.style.top = `${box.bottom + 6}px`;
    panel.style.left = `${Math.max(8, Math.min(box.left, this.#document.documentElement.clientWidth - 310))}px`;
  }

  #button(): Element | null {
    return this.#document.querySelector('[data-cy="FirstlightQuality"]');
  }

  #say(): void {
    const told = this.#tell();
    const list = this.#panel!.querySelector('dl')!;
    list.replaceChildren(...Object.entries(figures(told)).flatMap(([name, value]) => [this.#make('dt', name), this.#make('dd', value)]));
    this.#panel!.querySelector<HTMLElement>('.saves')!.hidden = !told.savesData;
  }

  #make(name: string, words: string): HTMLElement {
    return Object.assign(this.#document.createElement(name), { textContent: words });
  }

  #outside = (event: Event): void => {
    const target = event.target as Node;
    if (!this.#panel?.contains(target) && !this.#button()?.contains(target)) this.close();
  };

  #escape = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') this.close();
  };
}

/** The lines of the panel. */
export function figures({ image, bytes, throughput, delay, first }: Told): Record<string, string> {
  const rate = throughput === undefined ? 'not measured yet' : `${((throughput * 8) / 1e6).toFixed(1)} Mbit/s${delay === undefined ? '' : `, ${Math.round(delay)} ms`}`;
  return { Image: image, Line: rate, Received: `${(bytes / 1e6).toFixed(1)} MB`, 'First image': first === undefined ? 'not there yet' : `after ${(first / 1000).toFixed(1)} s` };
}

function addStyle(document: Document): void {
  if (document.getElementById(`${PANEL}-style`)) return;
  document.head.append(Object.assign(document.createElement('style'), { id: `${PANEL}-style`, textContent: STYLE }));
}
