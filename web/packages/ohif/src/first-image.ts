/**
 * The first image of a study, asked for as soon as the study is known: when its link is opened, before OHIF has looked the study up; and a useful
 * level of it while the user still chooses in the list. `GET {root}/studies/{S}/first` names it; a server without that route is a normal answer.
 */
import { coarsest, usefulLevel, type FrameLevels, type StreamState } from '@firstlight/loader';
import type { Frames, FramesClient, FrameWish, Picture, Shape, Wishes } from '@firstlight/loader/cornerstone';
import type { Left } from './cannot-show.ts';
import { firstFrame, type FirstAnswer, type FirstDocument } from './first-document.ts';

/** Who asks for the document of a study's first image; one beside the page also shows the image, while the page is busy with its viewport. */
export interface FirstSource {
  ask(root: string, study: string): Promise<FirstAnswer>;
  /** The study is opened: its first image is to be shown as soon as it is there. */
  open?(root: string, study: string): void;
  /** It is opened as planes of a volume: the slices are wanted. */
  openVolume?(root: string, study: string): void;
  /** The study was left. */
  end?(): void;
  /** What was asked is asked anew. */
  forget?(): void;
  /** Device pixels that the image will have for itself. */
  room?(): { width: number; height: number };
}

interface Named {
  imageId: string;
  shape: Shape;
  document: FirstDocument;
}

export class FirstImage implements FramesClient {
  readonly #frames: Frames;
  readonly #root: string;
  readonly #source: FirstSource;
  /** Nothing more is asked of a server that does not know the route. */
  #absent = false;
  #study: string | undefined;
  #wish: FrameWish | undefined;
  #opened: Named | undefined;
  /** Told of the levels of the first image of a study that was opened, each finer than the one before. */
  onFirst: ((document: FirstDocument, picture: Picture) => void) | undefined;

  constructor(frames: Frames, root: string, source: FirstSource) {
    [this.#frames, this.#root, this.#source] = [frames, root, source];
    frames.add(this);
  }

  /** The study is opened: its first image is wanted, all of it. */
  async open(study: string): Promise<void> {
    this.#opened = undefined;
    if (!this.#absent) this.#source.open?.(this.#root, study);
    const named = await this.#want(study, () => 0);
    // A document of its own for each opening, so that who shows it can tell them apart.
    this.#opened = named && { ...named, document: { ...named.document } };
    const there = named && this.#frames.best(named.imageId);
    if (there && this.#opened) this.onFirst?.(this.#opened.document, there);
  }

  /** The study is opened as planes of a volume. */
  openVolume(study: string): void {
    this.end();
    if (!this.#absent) this.#source.openVolume?.(this.#root, study);
  }

  /** The user may open the study next. */
  async warm(study: string): Promise<void> {
    await this.#want(study, imageId => this.#useful(imageId));
  }

  /** The series of a study as the archive has them; none where the server does not tell. */
  async series(study: string): Promise<Left[]> {
    const answer = this.#absent ? undefined : await this.#source.ask(this.#root, study);
    return (answer?.document?.series ?? []).map(row => {
      const text = (tag: string) => (row[tag]?.Value?.[0] === undefined ? undefined : String(row[tag].Value[0]));
      return { Modality: text('00080060'), SeriesInstanceUID: text('0020000E'), SeriesDescription: text('0008103E') } as Left;
    });
  }

  /** The frame is known otherwise: `imageId` is what a viewport will show first. */
  start(imageId: string, shape: Shape, size: { width: number; height: number }): void {
    this.#wish ??= { frame: imageId, level: 0, worth: [this.#useful(imageId, { ...size, ends: [1, 2, 3, 4, 5, 6] })], shape };
    this.#frames.replan();
  }

  /** A viewport asks for its images itself now; until it shows one, what arrives is told. */
  handOver(): void {
    this.#wish = this.#study = undefined;
    this.#frames.replan();
  }

  /** The study was left. */
  end(): void {
    this.#opened = undefined;
    this.#source.end?.();
    this.handOver();
  }

  /** Asks anew of every study. */
  forget(): void {
    this.#source.forget?.();
    this.end();
  }

  wishes(): Wishes {
    return { now: this.#wish ? [this.#wish] : [], later: [] };
  }

  onPicture(imageId: string, picture: Picture): void {
    if (this.#opened?.imageId === imageId && picture.level > 0) this.onFirst?.(this.#opened.document, picture);
  }

  onState(_imageId: string, _state: StreamState): void {}

  async #want(study: string, level: (imageId: string) => number): Promise<Named | undefined> {
    this.#study = study;
    const named = await this.#ask(study);
    if (!named || this.#study !== study) return undefined;
    const { imageId, shape } = named;
    this.#wish = { frame: imageId, level: level(imageId), worth: [this.#useful(imageId)], shape };
    this.#frames.replan();
    return named;
  }

  #useful(imageId: string, guess?: FrameLevels): number {
    const levels = this.#frames.levels(imageId) ?? guess;
    if (!levels) return 0;
    const side = 0.85 * devicePixelRatio * Math.min(innerWidth, innerHeight);
    const room = this.#source.room?.() ?? { width: side, height: side };
    const scale = Math.min(room.width / levels.width, room.height / levels.height);
    return Math.min(coarsest(levels), usefulLevel(levels, { width: levels.width * scale, height: levels.height * scale }));
  }

  async #ask(study: string): Promise<Named | undefined> {
    if (this.#absent) return undefined;
    const { status, document } = await this.#source.ask(this.#root, study);
    if (status === 404) this.#absent = true;
    const frame = document && firstFrame(this.#root, study, document);
    if (!frame) return undefined;
    if (frame.levels) this.#frames.know(frame.imageId, frame.levels);
    return { imageId: frame.imageId, shape: frame.shape, document };
  }
}
