/** The tools below the images: they act on the viewport that was used last. */
import { byId, make } from './dom.ts';
import type { Tone } from './paint/tone.ts';
import { round } from './view/corners.ts';
import { TOOLS, type Tool } from './view/tools.ts';
import type { Viewport } from './view/viewport.ts';

/** Windows for CT that people ask for by name. */
const CT_PRESETS = [
  ['Soft tissue', 40, 400],
  ['Lung', -600, 1500],
  ['Bone', 500, 2000],
  ['Brain', 40, 80],
  ['Liver', 60, 160],
] as const;

/** How often the slider follows images that pass: it is drawn anew, and read to who hears it. */
const FOLLOWS_MS = 150;

/** Images a second. */
const SPEEDS = [2, 5, 10, 15, 25, 30, 60];

export class Toolbar {
  readonly #active: () => Viewport;
  #tool: Tool = 'window';
  /** Whether the user chose a tool: until then, fingers scroll what can be scrolled. */
  #chosen = false;
  #cine: ReturnType<typeof setInterval> | undefined;
  #presets: (() => void)[] = [];
  #series: unknown;
  #follows: ReturnType<typeof setTimeout> | undefined;

  constructor(active: () => Viewport) {
    this.#active = active;
    byId('tools').append(...TOOLS.map(({ tool, name, key }) => make('button', { type: 'button', role: 'radio', title: `${name} (${key})`, data: { tool } }, name)));
    byId('tools').addEventListener('click', event => {
      const { tool } = (event.target as HTMLElement).dataset;
      if (tool) this.choose(tool as Tool);
      this.#chosen ||= tool !== undefined;
    });
    byId('tools').addEventListener('keydown', event => this.#arrows(event));
    byId('speed').append(...SPEEDS.map(speed => new Option(`${speed}/s`, String(speed))));
    byId<HTMLSelectElement>('presets').addEventListener('change', event => this.#presets[(event.target as HTMLSelectElement).selectedIndex]?.());
    byId('invert').addEventListener('click', () => active().invert());
    byId('reset').addEventListener('click', () => active().reset());
    byId('cine').addEventListener('click', () => this.play());
    byId('speed').addEventListener('change', () => this.#cine !== undefined && this.#start());
    byId<HTMLInputElement>('slider').addEventListener('input', event => active().go(Number((event.target as HTMLInputElement).value)));
    this.choose('window');
  }

  get tool(): Tool {
    return this.#tool;
  }

  choose(tool: Tool): void {
    this.#tool = tool;
    for (const button of byId('tools').querySelectorAll<HTMLElement>('button')) {
      const chosen = button.dataset.tool === tool;
      button.setAttribute('aria-checked', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  }

  /** Another picture of the active viewport is shown: the slider follows, now and then while pictures pass. */
  moved(): void {
    const viewport = this.#active();
    this.#follows ??= setTimeout(() => {
      this.#follows = undefined;
      this.#slide(viewport);
    }, FOLLOWS_MS);
  }

  /** Shows what holds for the active viewport. */
  update(): void {
    const viewport = this.#active();
    const { count, picture, series, tone } = viewport;
    const slider = byId<HTMLInputElement>('slider');
    slider.max = String(Math.max(0, count - 1));
    this.#slide(viewport);
    slider.hidden = byId('cine').hidden = count < 2;
    byId('invert').setAttribute('aria-pressed', String(tone?.inverted ?? false));
    byId('presets-label').hidden = byId('invert').hidden = !picture || picture.samples > 1 || picture.palette !== undefined;
    if (series !== this.#series) {
      this.#series = series;
      this.stop();
      this.#fillPresets();
      if (!this.#chosen && matchMedia('(pointer: coarse)').matches) this.choose(count > 1 ? 'scroll' : 'window');
    }
  }

  #slide({ at, count }: Viewport): void {
    byId<HTMLInputElement>('slider').value = String(at);
    byId('slider').setAttribute('aria-valuetext', `${at + 1} of ${count}`);
  }

  /** Plays, at the speed that the images name or the user chose; what is not there yet is waited for. */
  play(): void {
    if (this.#cine !== undefined || this.#active().count < 2) return this.stop();
    const time = this.#active().picture?.frameTime;
    const named = time && time > 0 ? 1000 / time : 15;
    byId<HTMLSelectElement>('speed').value = String(SPEEDS.reduce((best, speed) => (Math.abs(speed - named) < Math.abs(best - named) ? speed : best)));
    byId('speed-label').hidden = false;
    this.#start();
    byId('cine').setAttribute('aria-pressed', 'true');
    byId('cine').textContent = 'Stop';
  }

  stop(): void {
    clearInterval(this.#cine);
    this.#cine = undefined;
    byId('cine').setAttribute('aria-pressed', 'false');
    byId('cine').textContent = 'Play';
    byId('speed-label').hidden = true;
  }

  #start(): void {
    clearInterval(this.#cine);
    this.#cine = setInterval(() => {
      const viewport = this.#active();
      if (viewport.image || viewport.stack?.failure(viewport.at)) viewport.go((viewport.at + 1) % viewport.count);
    }, 1000 / Number(byId<HTMLSelectElement>('speed').value));
  }

  #fillPresets(): void {
    const viewport = this.#active();
    const { picture } = viewport;
    const options: [string, () => void][] = [];
    const window = (tone: Pick<Tone, 'centre' | 'width'>) => () => viewport.setTone({ centre: tone.centre, width: tone.width, inverted: viewport.tone?.inverted ?? false });
    if (picture) {
      const stored = () => (picture.windows[0] ? window(picture.windows[0])() : viewport.fullRange());
      options.push([picture.lut && !picture.windows[0] ? 'Table' : 'As stored', picture.lut && !picture.windows[0] ? () => viewport.setTone({ ...viewport.tone!, lut: true }) : stored]);
      picture.windows.slice(1).forEach(one => options.push([one.explanation || `W ${round(one.width)} C ${round(one.centre)}`, window(one)]));
      options.push(['Full range', () => viewport.fullRange()]);
      if (picture.modality === 'CT') CT_PRESETS.forEach(([name, centre, width]) => options.push([name, window({ centre, width })]));
    }
    this.#presets = options.map(([, act]) => act);
    byId('presets').replaceChildren(...options.map(([name]) => new Option(name)));
  }

  /** Arrow keys go from tool to tool, as in any group of radio buttons. */
  #arrows(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = TOOLS.findIndex(({ tool }) => tool === this.#tool);
    this.choose(TOOLS[(at + by + TOOLS.length) % TOOLS.length]!.tool);
    byId('tools').querySelector<HTMLElement>('[aria-checked=true]')!.focus();
  }
}
