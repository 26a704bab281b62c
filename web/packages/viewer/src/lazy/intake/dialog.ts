/** Adding images to the archive: what was dropped or chosen goes there, and the dialog tells how far it is and what was refused. */
import { byId, make, openDialog } from '../../dom.ts';
import { mayBeDicom, walk, type Found } from './files.ts';
import { batches, NotTaken, store, type Stored } from './store.ts';

/** Sentences about refusals that are listed; the others are counted. */
const LISTED = 200;

/** Asks for files or a folder. */
export function chooseImages(done: () => void): void {
  const chooser = (words: string, folder: boolean) => {
    const input = make('input', { type: 'file', multiple: true, webkitdirectory: folder });
    input.addEventListener('change', () => input.files?.length && void addImages([...input.files], done));
    return make('p', {}, make('label', {}, words, input));
  };
  openDialog('Add images', make('p', {}, 'DICOM files, a folder of them or a CD go to the archive as they are. They can also be dropped on the list of studies.'), chooser('Files ', false), chooser('A folder ', true));
}

/** Stores all files below these; `done` is called after what was stored. */
export async function addImages(entries: readonly (FileSystemEntry | File)[], done: () => void): Promise<void> {
  const view = new View();
  const stopped = new AbortController();
  const dialog = view.open(() => stopped.abort());
  const ended = () => stopped.abort();
  dialog.addEventListener('close', ended, { once: true });
  try {
    for await (const batch of batches(view.candidates(walk(entries), stopped.signal))) {
      if (stopped.signal.aborted) break;
      view.took(batch, await store(batch.map(({ file }) => file), sentence => view.tell(sentence), stopped.signal));
    }
    view.end(stopped.signal.aborted);
  } catch (error) {
    if (error instanceof NotTaken) view.fail(error.message);
    else if (stopped.signal.aborted) view.end(true);
    else view.fail(`It did not go on: ${error instanceof Error ? error.message : String(error)}`);
  }
  dialog.removeEventListener('close', ended);
  if (view.stored > 0) done();
}

class View {
  stored = 0;
  #found = 0;
  #sent = 0;
  #skipped = 0;
  #refused = 0;
  readonly #bar = make('progress', { max: 1, value: 0 });
  readonly #said = make('p', {}, 'Looking for images…');
  readonly #trouble = make('p', { className: 'warning' });
  readonly #list = make('ul');
  readonly #stop = make('button', { type: 'button' }, 'Stop');

  open(stop: () => void): HTMLDialogElement {
    this.#bar.setAttribute('aria-label', 'Images stored');
    this.#said.setAttribute('role', 'status');
    this.#trouble.setAttribute('role', 'alert');
    this.#stop.addEventListener('click', stop);
    return openDialog('Add images', this.#bar, this.#said, this.#trouble, this.#stop, this.#list);
  }

  /** Files that may be images; counts what is found and what is left out. */
  async *candidates(files: AsyncIterable<Found>, signal: AbortSignal): AsyncGenerator<Found> {
    for await (const one of files) {
      if (signal.aborted) return;
      const may = await mayBeDicom(one).catch(() => this.#refuse(`${one.path}: it could not be read`));
      if (may) {
        this.#found++;
        yield one;
      } else if (may === false) this.#skipped++;
      this.#show();
    }
  }

  took(files: readonly Found[], { stored, refused }: Stored): void {
    this.#sent += files.length;
    this.stored += stored;
    // The archive names instances; what it could not read is known by the request that it was in.
    const [first, last] = [files[0]!.path, files.at(-1)!.path];
    const among = first === last ? first : `one of ${first} to ${last}`;
    for (const { instance, reason } of refused) this.#refuse(`${instance || among}: ${reason}`);
    this.#show();
  }

  tell(sentence: string): void {
    this.#trouble.textContent = sentence;
  }

  end(early: boolean): void {
    this.#over(early ? 'Stopped: ' : '');
    if (this.#found === 0 && !early) this.#said.textContent = 'No DICOM files there.';
  }

  fail(sentence: string): void {
    this.tell(sentence);
    this.#over('');
  }

  #over(before: string): void {
    this.#stop.remove();
    this.#bar.remove();
    this.#said.textContent = before + this.#words();
    byId('dialog').querySelector<HTMLButtonElement>('form button')?.focus();
  }

  #refuse(sentence: string): undefined {
    if (++this.#refused <= LISTED) this.#list.append(make('li', {}, sentence));
    return undefined;
  }

  #show(): void {
    this.#bar.max = Math.max(1, this.#found);
    this.#bar.value = this.#sent;
    this.#said.textContent = `${this.#sent} of ${this.#found} sent; ${this.#words()}`;
  }

  #words(): string {
    const parts = [`${this.stored} stored`, this.#refused > 0 && `${this.#refused} refused`, this.#skipped > 0 && `${this.#skipped} no DICOM`];
    return parts.filter(Boolean).join(', ');
  }
}
