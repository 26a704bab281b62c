/**
 * Consultation: who is on a session's link sees the others' image, zoom, window, pointer and marks. The server relays events of one fixed shape; no
 * pixel and no name is in them. Last writer wins; while somebody presents, only that view is followed.
 */
import { byId, make } from '../dom.ts';
import { HERE } from '../here.ts';
import { scale, type Point } from '../view/geometry.ts';
import type { MarkBook } from '../view/marks.ts';
import type { Kind, Mark } from '../view/measure.ts';
import type { Viewport } from '../view/viewport.ts';

/** What the page lets a session do. */
export interface Host {
  readonly active: Viewport;
  readonly marks: MarkBook;
  openSeries(study: string, uid: string, at?: { instance: string; frame: number }): Promise<void>;
}

interface ViewEvent {
  from: number;
  study: string;
  series: string;
  instance: string;
  frame: number;
  zoom: number;
  /** In pixels of the image: screens differ. */
  pan: [number, number];
  window: [number, number];
  inverted: boolean;
}

interface State {
  participant: number;
  key: string;
  presenter: number | null;
  participants: number[];
}

/** Milliseconds between two events of ours, at least: below the 40 a second that the server takes. */
const PAUSE = 33;
/** Milliseconds after which a pointer that does not move is taken away. */
const POINTER = 6000;

/** Makes a session; `undefined` where the server has none. */
export async function newSession(): Promise<string | undefined> {
  const response = await fetch(`${HERE}/session`, { method: 'POST' }).catch(() => undefined);
  return response?.status === 201 ? ((await response.json()) as { session: string }).session : undefined;
}

export class Consultation {
  readonly #path: string;
  readonly #host: Host;
  readonly #forgetMarks: () => void;
  readonly #waiting = new Map<string, object>();
  readonly #pointers = new Map<number, { at: Point; instance: string; frame: number; since: number }>();
  readonly #sent = new Map<string, Mark>();
  #events: EventSource | undefined;
  #state: State | undefined;
  #applying = false;
  #wanted: ViewEvent | undefined;
  #following = false;
  #sending = false;
  #closed = false;
  #again: ReturnType<typeof setTimeout> | undefined;
  readonly #sweep: ReturnType<typeof setInterval>;

  constructor(id: string, host: Host) {
    this.#path = `${HERE}/session/${encodeURIComponent(id)}/events`;
    this.#host = host;
    this.#forgetMarks = host.marks.onChange(() => this.#marked());
    this.#sweep = setInterval(() => this.#showPointers(), 1000);
    this.#say('Joining the session…');
    this.#connect();
  }

  /** The view of a viewport is another one. */
  looked(viewport: Viewport): void {
    const { picture, tone, view, size } = viewport;
    if (this.#applying || this.#following || viewport !== this.#host.active || !picture || !tone || !this.#leads()) return;
    const by = scale(picture, size, view);
    this.#post('view', {
      event: 'view',
      data: { study: picture.study, series: picture.series, instance: picture.instance, frame: picture.frame, zoom: view.zoom, pan: [view.pan.x / by.x, view.pan.y / by.y], window: [tone.centre, tone.width], inverted: tone.inverted },
    });
  }

  pointed({ picture }: Viewport, at: Point | null): void {
    if (picture) this.#post('pointer', { event: 'pointer', data: { instance: picture.instance, frame: picture.frame, at: at && [at.x, at.y] } });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    clearTimeout(this.#again);
    this.#events?.close();
    this.#forgetMarks();
    this.#pointers.clear();
    this.#showPointers();
    byId('session').hidden = true;
  }

  /** Whether our view is one that others follow. */
  #leads(): boolean {
    return this.#state !== undefined && (this.#state.presenter === null || this.#state.presenter === this.#state.participant);
  }

  // ---------------------------------------------------------------------------------------------------------------------- what comes

  #connect(): void {
    const events = (this.#events = new EventSource(this.#path));
    const on = <T>(name: string, hear: (data: T) => void) => events.addEventListener(name, event => hear(JSON.parse((event as MessageEvent<string>).data) as T));
    on<State>('hello', state => {
      this.#state = state;
      this.#sent.clear();
      this.#marked();
      this.#bar();
    });
    on<Pick<State, 'participants' | 'presenter'>>('participants', told => this.#change(told));
    on<Pick<State, 'presenter'>>('presenter', told => this.#change({ presenter: told.presenter }));
    on<ViewEvent>('view', told => this.#state?.participant !== told.from && void this.#follow(told));
    on<{ from: number; instance: string; frame: number; at: [number, number] | null }>('pointer', ({ from, instance, frame, at }) => {
      if (from === this.#state?.participant) return;
      at ? this.#pointers.set(from, { at: { x: at[0], y: at[1] }, instance, frame, since: Date.now() }) : this.#pointers.delete(from);
      this.#showPointers();
    });
    on<{ from: number; id: string; instance: string; frame: number; kind: Kind; points: [number, number][] }>('mark', ({ from, points, ...mark }) => {
      if (from === this.#state?.participant) return;
      this.#apply(() => this.#host.marks.put({ id: mark.id, kind: mark.kind, instance: mark.instance, frame: mark.frame, points: points.map(([x, y]) => ({ x, y })), foreign: true }));
    });
    on<{ from: number; id: string }>('unmark', ({ from, id }) => {
      if (from !== this.#state?.participant) this.#apply(() => this.#host.marks.remove(id));
    });
    events.onerror = () => {
      if (this.#closed) return;
      this.#state = undefined;
      this.#say('The session’s line is lost: trying again…');
      if (events.readyState === EventSource.CLOSED) void this.#ended();
    };
  }

  /** A browser gives up on an answer that is no stream: the session is over, or the server is only starting. */
  async #ended(): Promise<void> {
    const response = await fetch(this.#path, { method: 'POST', body: '{}' }).catch(() => undefined);
    if (this.#closed) return;
    if (response?.status === 404) return this.#say('This session is over.');
    this.#again = setTimeout(() => this.#connect(), 3000);
  }

  #apply(change: () => void): void {
    this.#applying = true;
    try {
      change();
    } finally {
      this.#applying = false;
    }
  }

  /** Goes where another one is; what comes while a series is opened is looked at when it is there, the last of it. */
  async #follow(told: ViewEvent): Promise<void> {
    this.#wanted = told;
    if (this.#following) return;
    this.#following = true;
    while (this.#wanted && !this.#closed) {
      const next = this.#wanted;
      this.#wanted = undefined;
      const { series } = this.#host.active;
      if (series?.uid !== next.series || (!series.whole && series.indexOf(next.instance, next.frame) < 0)) await this.#host.openSeries(next.study, next.series, { instance: next.instance, frame: next.frame });
      this.#show(next);
    }
    this.#following = false;
  }

  #show(told: ViewEvent): void {
    const viewport = this.#host.active;
    if (viewport.series?.uid !== told.series || this.#closed) return;
    this.#apply(() => {
      const index = viewport.series!.indexOf(told.instance, told.frame);
      if (index >= 0 && index !== viewport.at) viewport.go(index);
      const { picture } = viewport;
      if (!picture) return;
      const by = scale(picture, viewport.size, { zoom: told.zoom, pan: { x: 0, y: 0 } });
      viewport.setView({ zoom: told.zoom, pan: { x: told.pan[0] * by.x, y: told.pan[1] * by.y } });
      viewport.setTone({ centre: told.window[0], width: told.window[1], inverted: told.inverted });
    });
  }

  #showPointers(): void {
    const { active } = this.#host;
    const now = active.picture;
    const shown = [...this.#pointers].filter(([, { instance, frame, since }]) => now?.instance === instance && now.frame === frame && Date.now() - since < POINTER);
    if (shown.length === 0 && active.pointers.length === 0) return;
    active.pointers = shown.map(([from, { at }]) => ({ at, name: `Participant ${from}` }));
    active.redraw();
  }

  // ---------------------------------------------------------------------------------------------------------------------- what goes

  /** Own marks that are new or were changed, and those that are gone. */
  #marked(): void {
    if (this.#applying || !this.#state) return;
    const own = new Map(this.#host.marks.all.filter(mark => !mark.foreign).map(mark => [mark.id, mark]));
    for (const [id, mark] of own) {
      if (this.#sent.get(id)?.points === mark.points) continue;
      this.#sent.set(id, mark);
      this.#post(`mark ${id}`, { event: 'mark', data: { id, instance: mark.instance, frame: mark.frame, kind: mark.kind, points: mark.points.map(({ x, y }) => [x, y]) } });
    }
    for (const id of this.#sent.keys()) {
      if (own.has(id)) continue;
      this.#sent.delete(id);
      this.#post(`mark ${id}`, { event: 'unmark', data: { id } });
    }
  }

  /** Events wait for their turn; a newer one of the same name takes the place of an older one. */
  #post(name: string, event: object): void {
    if (!this.#state) return;
    this.#waiting.set(name, event);
    if (!this.#sending) void this.#send();
  }

  /** One after the other: two on their way at once may arrive in either order, and the others would stay at the one before. */
  async #send(): Promise<void> {
    this.#sending = true;
    for (let next = this.#waiting.entries().next(); !next.done && !this.#closed; next = this.#waiting.entries().next()) {
      const [name, event] = next.value;
      this.#waiting.delete(name);
      const sent = fetch(this.#path, { method: 'POST', headers: { 'Content-Type': 'application/json', 'Session-Participant': this.#state?.key ?? '' }, body: JSON.stringify(event) });
      const answered = sent.then(
        response => response.status === 429 && !this.#waiting.has(name) && this.#waiting.set(name, event),
        () => undefined
      );
      await Promise.all([answered, new Promise(later => setTimeout(later, PAUSE))]);
    }
    this.#sending = false;
  }

  // ------------------------------------------------------------------------------------------------------------------------- the bar

  #change(told: Partial<State>): void {
    if (!this.#state) return;
    Object.assign(this.#state, told);
    this.#bar();
  }

  #bar(): void {
    const { participant, presenter, participants } = this.#state!;
    const who = presenter === null ? 'everybody shows' : presenter === participant ? 'you present' : `participant ${presenter} presents`;
    const button = make('button', { type: 'button' }, presenter === participant ? 'Stop presenting' : 'Present');
    button.addEventListener('click', () => this.#post('presenter', { event: 'presenter', data: { presenter: presenter === participant ? null : participant } }));
    this.#say(`Session: ${participants.length} ${participants.length === 1 ? 'participant' : 'participants'}, you are number ${participant}; ${who} `, button);
  }

  #say(...words: (string | Node)[]): void {
    byId('session').hidden = false;
    byId('session').replaceChildren(...words);
  }
}
