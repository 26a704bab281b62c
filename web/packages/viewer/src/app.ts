/** The page as a whole: which studies are in which viewports, and what its buttons do. */
import { byId, make, openDialog } from './dom.ts';
import { date, personName, text, type DataSet } from './dicom/dataset.ts';
import { counterpart } from './dicom/planes.ts';
import { link, PAGE } from './here.ts';
import { Loading } from './load/loading.ts';
import { ownBudget } from './load/memory.ts';
import { decoderModule, loadingWorker } from './load/start.ts';
import { dropped } from './study/dropped.ts';
import { Opener, type Opened } from './study/open-study.ts';
import { listSeries, loadThumbnails, markSeries } from './study/series-list.ts';
import { StudyList } from './study/study-list.ts';
import { Toolbar } from './toolbar.ts';
import type { Consultation } from './lazy/consult.ts';
import { gestures, removeLast } from './view/gestures.ts';
import { MarkBook } from './view/marks.ts';
import { overlayName } from './view/overlays.ts';
import { TOOLS } from './view/tools.ts';
import { Viewport, type ViewportListener } from './view/viewport.ts';

interface Pane {
  viewport: Viewport;
  opener: Opener;
  study: string;
  opened: Opened | undefined;
}

export class App {
  readonly #loading: Loading = new Loading(loadingWorker(() => this.#panes.forEach(({ viewport }) => viewport.trouble('Connection lost: trying again'))), ownBudget(), decoderModule());
  readonly #marks = new MarkBook();
  readonly #panes: Pane[] = [];
  #active = 0;
  #syncing = false;
  #firstImage: (() => void) | undefined;
  #happenedOnce = false;
  #session: Consultation | undefined;
  readonly #list = new StudyList(study => this.#navigate(study));
  readonly #toolbar = new Toolbar(() => this.active);

  get active(): Viewport {
    return this.#pane.viewport;
  }

  get marks(): MarkBook {
    return this.#marks;
  }

  get #pane(): Pane {
    return (this.#panes[this.#active] ??= this.#makePane());
  }

  start(): void {
    window.addEventListener('popstate', () => this.#route());
    window.addEventListener('online', () => this.#panes.forEach(({ viewport }) => {
      viewport.trouble('');
      viewport.stack?.retry();
    }));
    window.addEventListener('offline', () => this.#panes.forEach(({ viewport }) => viewport.picture && viewport.trouble('Offline: it goes on when the line is back')));
    byId('back').addEventListener('click', event => {
      event.preventDefault();
      this.#navigate('');
    });
    byId('layout').addEventListener('click', () => this.layout(this.#panes.length === 1 ? 2 : 1));
    byId('menu').addEventListener('click', event => this.#menu(event));
    byId('overlays').addEventListener('change', event => this.#panes.forEach(({ viewport }) => {
      viewport.showsOverlays = (event.target as HTMLInputElement).checked;
      viewport.redraw();
    }));
    document.addEventListener('keydown', event => this.#keys(event));
    document.addEventListener('pointerdown', event => byId('menu').contains(event.target as Node) || byId('menu').removeAttribute('open'));
    byId('list').addEventListener('dragover', event => event.dataTransfer?.types.includes('Files') && event.preventDefault());
    byId('list').addEventListener('drop', event => this.#drop(event));
    this.#showLink();
    this.#route();
  }

  /** Called once, when the first image stands there, or the list does. */
  onFirstImage(then: () => void): void {
    if (this.#happenedOnce) then();
    else this.#firstImage = then;
  }

  /** Opens a series in the active viewport. */
  async openSeries(study: string, uid: string, at?: { instance: string; frame: number }): Promise<void> {
    const pane = this.#pane;
    pane.study = study;
    const opening = pane.opener.series(study, uid, at);
    markSeries(uid);
    await opening;
    this.#update();
  }

  /** One viewport, or two side by side. */
  layout(count: 1 | 2): void {
    while (this.#panes.length > count) this.#closePane(this.#panes.pop()!);
    while (this.#panes.length < count) {
      const pane = this.#makePane();
      this.#panes.push(pane);
      pane.viewport.clear('Choose a series, or an earlier study from the menu.');
    }
    byId('views').classList.toggle('two', count === 2);
    byId('layout').setAttribute('aria-pressed', String(count === 2));
    this.#activate(this.#panes[count - 1]!.viewport);
    if (count === 1) this.#toolbar.update();
  }

  /** What tests may ask; nothing of it changes anything. */
  inspect(): object {
    return {
      marks: () => this.#marks.all.map(({ kind, words, points, foreign }) => ({ kind, words, points, foreign: foreign ?? false })),
      lengths: () => (this.active.picture ? this.#marks.of(this.active.picture).filter(({ kind }) => kind === 'line').map(({ words }) => words) : []),
      painter: () => this.active.painter.kind,
      /** Red of the pixels of the canvas, as they are painted now: at rest, of all device pixels. */
      pixels: () => {
        this.active.draw();
        const { width, height } = this.active.painter.canvas;
        return { width, height, pixels: [...this.active.painter.pixels()].filter((_, n) => n % 4 === 0) };
      },
      pointers: () => this.active.pointers,
      tone: () => this.active.tone,
      view: () => this.active.view,
      memory: () => ({ images: this.#loading.cache.bytes, streams: this.#loading.streamBytes, workers: this.#loading.heldBytes, canvases: this.#panes.reduce((sum, { viewport }) => sum + viewport.painter.bytes + viewport.size.width * viewport.size.height * 4, 0) }),
      throughput: () => this.#loading.line.throughput,
    };
  }

  // ------------------------------------------------------------------------------------------------------------------- where to

  #navigate(study: string): void {
    history.pushState(null, '', study ? `${PAGE}?study=${encodeURIComponent(study)}` : PAGE);
    this.#route();
  }

  /** Who came by a link has its name on the images, so that a picture of the screen says whose it is; and goes to its one study at once. */
  #showLink(): void {
    const shared = link();
    byId<HTMLAnchorElement>('back').href = PAGE;
    byId('ohif').classList.toggle('none', shared !== undefined);
    if (!shared) return;
    byId('views').dataset.link = shared.name;
    if (shared.study && !new URLSearchParams(location.search).has('study')) history.replaceState(null, '', `${PAGE}?study=${encodeURIComponent(shared.study)}`);
  }

  /** The address says what is shown. */
  #route(): void {
    const query = new URLSearchParams(location.search);
    const study = query.get('study');
    this.#session?.close();
    this.#session = undefined;
    for (const id of ['series', 'views', 'bar', 'layout']) byId(id).hidden = !study;
    for (const one of byId('menu').querySelectorAll<HTMLElement>('[data-study], [data-list]')) one.hidden = Boolean(study) !== one.hasAttribute('data-study');
    document.body.classList.toggle('listing', !study);
    if (study) {
      this.#list.hide();
      this.#openStudy(study, query.get('series') ?? undefined);
      const session = query.get('session');
      if (session) void this.#join(session);
    } else {
      while (this.#panes.length > 0) this.#closePane(this.#panes.pop()!);
      this.#active = 0;
      [byId('patient').textContent, byId('study').textContent, document.title] = ['Firstlight', 'Studies', 'Firstlight'];
      this.#list.show();
      this.#happened();
    }
  }

  #openStudy(study: string, series?: string): void {
    const pane = this.#pane;
    pane.study = study;
    if (pane === this.#panes[0]) byId<HTMLAnchorElement>('ohif').href = `/viewer/viewer?StudyInstanceUIDs=${encodeURIComponent(study)}`;
    void pane.opener.study(study, series).then(opened => {
      if (!opened || pane.study !== study) return;
      pane.opened = opened;
      this.#showList(pane);
    });
  }

  /** The series and the name of the study of a pane. */
  #showList(pane: Pane): void {
    if (!pane.opened) return;
    listSeries(pane.study, pane.opened.series, uid => void this.openSeries(pane.study, uid));
    const told = pane.opened.series[0] ?? {};
    const words = (tag: string) => text(pane.opened!.study, tag) || text(told, tag);
    byId('patient').textContent = personName(words('00100010')) || 'No name';
    byId('study').textContent = [words('00100020'), date(words('00080020')), words('00081030')].filter(Boolean).join(' · ');
    document.title = `${byId('patient').textContent} · Firstlight`;
    this.#update();
    if (pane.viewport.image) loadThumbnails();
  }

  // ------------------------------------------------------------------------------------------------------------------- viewports

  #makePane(): Pane {
    const listener: ViewportListener = {
      onActive: viewport => this.#activate(viewport),
      onMove: (viewport, steps) => this.#moved(viewport, steps),
      onLook: viewport => {
        if (viewport === this.active) this.#toolbar.update();
        this.#session?.looked(viewport);
      },
      onPoint: (viewport, point) => this.#session?.pointed(viewport, point),
      onDrawn: viewport => this.#drawn(viewport),
    };
    const viewport = new Viewport(byId('views'), this.#loading, this.#marks, listener);
    gestures(viewport, { tool: () => this.#toolbar.tool, play: () => this.#toolbar.play() });
    return { viewport, opener: new Opener(viewport), study: '', opened: undefined };
  }

  #closePane({ viewport, opener }: Pane): void {
    opener.close();
    viewport.close();
  }

  #activate(viewport: Viewport): void {
    const at = this.#panes.findIndex(pane => pane.viewport === viewport);
    if (at < 0) return;
    const changed = at !== this.#active;
    this.#active = at;
    for (const pane of this.#panes) pane.viewport.element.classList.toggle('active', this.#panes.length > 1 && pane.viewport === viewport);
    if (!changed) return;
    if (this.#pane.opened) this.#showList(this.#pane);
    this.#update();
  }

  #update(): void {
    this.#toolbar.update();
    const { series, picture } = this.active;
    markSeries(series?.uid ?? '');
    byId('overlays-label').hidden = !picture || overlayName(series?.set(picture.instance)) === undefined;
  }

  /** The other viewport goes along. */
  #moved(viewport: Viewport, steps: number): void {
    if (viewport === this.active) this.#toolbar.moved();
    this.#session?.looked(viewport);
    const other = this.#panes.find(pane => pane.viewport !== viewport)?.viewport;
    if (this.#syncing || !other?.stack || !viewport.picture || !byId<HTMLInputElement>('together').checked) return;
    this.#syncing = true;
    other.go(counterpart(viewport.picture, steps, other.stack.pictures, other.at));
    this.#syncing = false;
  }

  #drawn(viewport: Viewport): void {
    if (!viewport.image) return;
    if (viewport === this.active) this.#update();
    if (byId('series').querySelector('img[data-src]')) loadThumbnails();
    this.#happened();
  }

  #happened(): void {
    this.#happenedOnce = true;
    this.#firstImage?.();
    this.#firstImage = undefined;
  }

  // --------------------------------------------------------------------------------------------------------------------- buttons

  #menu(event: Event): void {
    const act = (event.target as HTMLElement).closest<HTMLElement>('[data-do]')?.dataset.do;
    if (!act) return;
    byId('menu').removeAttribute('open');
    const acts: Record<string, () => unknown> = {
      priors: () => this.#priors(),
      reformat: async () => (await import('./lazy/mpr/dialog.ts')).showReformat(this.active, this.#loading),
      share: () => this.#share(),
      header: async () => (await import('./lazy/header.ts')).showHeader(this.active.picture ? this.active.series?.set(this.active.picture.instance) : this.active.series?.sets[0]),
      undo: () => removeLast(this.active),
      add: async () => (await import('./lazy/intake/dialog.ts')).chooseImages(() => this.#list.show()),
      help: async () => (await import('./lazy/help.ts')).showHelp(),
    };
    Promise.resolve(acts[act]!()).catch(notThere);
  }

  /** Files and folders that are dropped on the list go to the archive. */
  #drop(event: DragEvent): void {
    const items = event.dataTransfer?.items;
    if (!items || ![...items].some(({ kind }) => kind === 'file')) return;
    event.preventDefault();
    const entries = dropped(items);
    import('./lazy/intake/dialog.ts').then(({ addImages }) => addImages(entries, () => this.#list.show()), notThere);
  }

  #keys(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A dialog that was just closed may have the focus a moment longer.
    const target = event.target as HTMLElement;
    const dialog = target.closest('dialog');
    if (dialog ? dialog.open : target.closest('input, select, textarea')) return;
    if (event.key === '?') return void import('./lazy/help.ts').then(({ showHelp }) => showHelp());
    if (this.#panes.length === 0) return;
    const tool = TOOLS.find(({ key }) => key === event.key);
    if (tool) this.#toolbar.choose(tool.tool);
    if (event.key === '1' || event.key === '2') this.layout(Number(event.key) as 1 | 2);
  }

  async #priors(): Promise<void> {
    const { showPriors } = await import('./lazy/priors.ts');
    const pane = this.#panes[0]!;
    const picture = pane.viewport.picture;
    const patient = (picture && pane.viewport.series?.set(picture.instance)) ?? pane.opened?.study;
    await showPriors(patient as DataSet | undefined, pane.study, study => {
      if (this.#panes.length === 1) this.layout(2);
      const beside = this.#panes[1]!;
      this.#activate(beside.viewport);
      this.#openStudy(study);
    });
  }

  // --------------------------------------------------------------------------------------------------------------------- session

  async #share(): Promise<void> {
    const { newSession } = await import('./lazy/consult.ts');
    const id = new URLSearchParams(location.search).get('session') ?? (await newSession());
    if (!id) return void openDialog('Share session', 'This server has no sessions.');
    const { study } = this.#panes[0]!;
    const path = `${PAGE}?study=${encodeURIComponent(study)}&session=${id}`;
    if (!this.#session) {
      history.replaceState(null, '', path);
      await this.#join(id);
    }
    const link = make('input', { readOnly: true, value: new URL(path, location.href).href, id: 'link' });
    link.setAttribute('aria-label', 'Link of the session');
    const copy = make('button', { type: 'button' }, 'Copy the link');
    copy.addEventListener('click', () => {
      link.select();
      void navigator.clipboard?.writeText(link.value).then(() => (copy.textContent = 'Copied'));
    });
    openDialog('Share session', 'Who opens this link, and may see this study, sees what you show: image, zoom, window, pointer and marks. No picture and no name passes through the session.', link, copy);
  }

  async #join(id: string): Promise<void> {
    const { Consultation } = await import('./lazy/consult.ts');
    this.#session?.close();
    this.#session = new Consultation(id, this);
  }
}

const notThere = () => openDialog('Not there', 'This part of the page could not be fetched. Try again when the line is back.');
