/** A note at the cursor: why a tool does nothing on a preview, and that it can be used as soon as it can. */
const NOTE = 'firstlight-tool-note';
const STYLE = `position:fixed;z-index:10000;padding:4px 10px;border-radius:6px;pointer-events:none;max-width:280px;
font:500 13px/18px Inter,system-ui,sans-serif;color:#fff;background:#1d2b3aee;border:1px solid #ffb020`;
/** How long it stays once it has said that the tool can be used. */
const READY_MS = 2500;
/** Space between the cursor and the note. */
const APART = 14;

export class ToolNote {
  readonly #document: Document;
  #at: { x: number; y: number } = { x: 0, y: 0 };
  #note: HTMLElement | undefined;
  #tool = '';
  #viewport = '';
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(document: Document) {
    this.#document = document;
    document.addEventListener?.('pointermove', ({ clientX, clientY }) => this.#move(clientX, clientY), { passive: true, capture: true });
  }

  /** `tool` was refused in a viewport. */
  refuse(viewport: string, tool: string): void {
    [this.#viewport, this.#tool] = [viewport, tool];
    this.#say(`${tool || 'This tool'} waits: the image is a preview. It can be used as soon as the image is complete.`);
  }

  /** The viewport is complete: what was refused there can be used. */
  complete(viewport: string): void {
    if (!this.#note || viewport !== this.#viewport) return;
    this.#say(`${this.#tool || 'The tool'} can be used now.`);
    this.#timer = setTimeout(() => this.#hide(), READY_MS);
  }

  #say(text: string): void {
    clearTimeout(this.#timer);
    if (!this.#document.body) return;
    if (!this.#note) {
      this.#note = this.#document.createElement('div');
      this.#note.className = NOTE;
      this.#note.setAttribute('role', 'status');
      this.#note.style.cssText = STYLE;
      this.#document.body.append(this.#note);
    }
    this.#note.textContent = text;
    this.#move(this.#at.x, this.#at.y);
  }

  #move(x: number, y: number): void {
    this.#at = { x, y };
    if (!this.#note) return;
    const view = this.#document.defaultView!;
    this.#note.style.left = `${Math.max(0, Math.min(x + APART, view.innerWidth - this.#note.offsetWidth))}px`;
    this.#note.style.top = `${Math.max(0, Math.min(y + APART, view.innerHeight - this.#note.offsetHeight))}px`;
  }

  #hide(): void {
    this.#note?.remove();
    this.#note = undefined;
  }
}
