/**
 * First light: the study's first image on the page of OHIF, drawn by our own decoder while OHIF's bundles are still on their way.
 *
 * The page names the document of that image in a preload link; it, this module and the decoder come in the first round trip, the bytes of
 * one useful level in the second. Then nothing more is fetched: the line is OHIF's.
 */
import { loadCodec, simdIsThere, type HtImage } from '@firstlight/htj2k';
import { FrameStream, type Decoders, type StreamState } from '@firstlight/loader';
import { watch } from './handover.ts';
import { Overlay } from './overlay.ts';
import { paneExpected, rememberPane } from './place.ts';
import { paint } from './paint.ts';
import { plan, type First, type Plan } from './plan.ts';

declare const DECODER: string;
declare const SCALAR_DECODER: string;
declare global {
  interface Window {
    /** Lets OHIF's scripts come; see hold.js. */
    startViewer?: () => void;
  }
}

const ACCEPT = ['1.2.840.10008.1.2.4.202', '1.2.840.10008.1.2.4.201', '1.2.840.10008.1.2.4.203'].map(syntax => `application/octet-stream; transfer-syntax=${syntax}`).join(', ');
/** OHIF takes a sign-in from its link; so does this. */
const token = new URLSearchParams(location.search).get('token');
const signedIn = (headers?: HeadersInit): HeadersInit => ({ ...(headers as Record<string, string>), ...(token && { Authorization: `Bearer ${token}` }) });
const urgent = (input: RequestInfo | URL, init?: RequestInit) => fetch(input, { ...init, headers: signedIn(init?.headers), priority: 'high' });

/** One decoder on this thread: a level of use takes a few milliseconds, a worker as long to start. */
function decoder(): Decoders {
  const codec = loadCodec({ wasm: fetch(simdIsThere() ? DECODER : SCALAR_DECODER) });
  codec.catch(() => undefined);
  return {
    open(length) {
      const frame = codec.then(loaded => loaded.open(length));
      frame.catch(() => undefined);
      return {
        push: bytes => void frame.then(open => open.push(bytes)).catch(() => undefined),
        decode: async level => (await frame).decode(level),
        close: () => void frame.then(open => open.close()).catch(() => undefined),
      };
    },
  };
}

class FirstLight {
  #overlay: Overlay | undefined;
  #stream: FrameStream | undefined;
  #over = false;
  readonly #end: () => void;

  constructor() {
    this.#end = watch(window, {
      onLook: () => this.#overlay?.place(),
      onFailure: () => this.#overlay?.say('the viewer could not be loaded, load the page again'),
      onShown: why => {
        if (why === 'image') rememberPane(window);
        this.#finish();
      },
    });
  }

  async show(address: string, decoders: Decoders): Promise<void> {
    const response = await fetch(address, { headers: signedIn() });
    if (!response.ok) return this.#finish();
    const pane = paneExpected(window);
    const room = { width: pane.width * devicePixelRatio, height: pane.height * devicePixelRatio };
    const wanted = plan((await response.json()) as First, new URL('/dicom-web', location.href).href, room);
    if (!wanted) return this.#finish();
    if (this.#over) return;
    await (wanted.kind === 'level' ? this.#level(wanted, decoders) : this.#rendered(wanted));
  }

  async #level({ url, picture, levels, level, words }: Plan & { kind: 'level' }, decoders: Decoders): Promise<void> {
    const onImage = (image: HtImage) => {
      this.#draw(new ImageData(paint(picture, image), image.width, image.height), words);
      // The viewer's loader goes on from here.
      const begun = this.#stream?.begun;
      if (begun) Object.assign(globalThis, { firstLightBegun: { url: new URL(url, location.href).href, begun } });
    };
    const onState = (state: StreamState) => {
      // The bytes that were wanted are there, or will not come soon: the line is OHIF's.
      if (state.state !== 'receiving') window.startViewer?.();
      if (state.state === 'failed') this.#overlay ? this.#overlay.say(state.reason) : this.#finish();
      else this.#overlay?.say(state.state === 'retrying' ? `${state.reason}, trying again` : undefined);
    };
    this.#stream = new FrameStream({ url, decoders, accept: ACCEPT, levels, fetch: urgent, onImage, onState });
    this.#stream.want(level);
  }

  async #rendered({ url, words }: Plan & { kind: 'rendered' }): Promise<void> {
    const response = await urgent(url, { headers: { Accept: 'image/jpeg' } });
    if (!response.ok) return this.#finish();
    const bytes = await response.blob();
    window.startViewer?.();
    this.#draw(await createImageBitmap(bytes), words);
  }

  #draw(image: ImageData | ImageBitmap, words: string): void {
    if (this.#over) return;
    this.#overlay ??= new Overlay(document, words);
    this.#overlay.draw(image);
    performance.mark(`first-light ${image.width}x${image.height}`);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    window.startViewer?.();
    this.#end();
    this.#stream?.close();
    this.#overlay?.fade();
    performance.mark('first-light over');
  }

  /** Nothing can be shown; the viewer says why, if it can. */
  fail(): void {
    this.#finish();
  }
}

const address = document.querySelector<HTMLLinkElement>('link[data-first-light]')?.href;
if (address) {
  const light = new FirstLight();
  light.show(address, decoder()).catch(() => light.fail());
}
