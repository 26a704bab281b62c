/**
 * Keeps a preview from being taken for the image: the badge, and the locks on tools and commands, until all is there.
 *
 * The state is read from the viewport each time it matters; nothing is remembered that could be out of date. Cornerstone
 * dispatches its events on the viewport's element, so one listener in the capture phase of the window sees every one
 * of them before any tool does.
 */
import { completeness, type Completeness } from '@firstlight/loader/cornerstone';
import { lockCommands, opensLater } from './command-lock.ts';
import type { Host, ToolGroup, Viewport } from './host.ts';
import { lossOf, showLoss } from './lossy-mark.ts';
import { flash, showState } from './preview-badge.ts';
import { judge, type ToolInput } from './tool-lock.ts';
import { ToolNote } from './tool-note.ts';

/** Cornerstone3D's events after which a viewport may show something else than before. */
const DISPLAY_EVENTS = [
  'CORNERSTONE_IMAGE_RENDERED',
  'CORNERSTONE_PRE_STACK_NEW_IMAGE',
  'CORNERSTONE_STACK_NEW_IMAGE',
  'CORNERSTONE_VIEWPORT_NEW_IMAGE_SET',
  'CORNERSTONE_VOLUME_VIEWPORT_NEW_VOLUME',
];

const VOLUME_MS = 150;

/** Events of the tools: what they are for the lock. */
const TOOL_EVENTS: Record<string, ToolInput['kind']> = {
  CORNERSTONE_TOOLS_MOUSE_DOWN: 'press',
  CORNERSTONE_TOOLS_MOUSE_DOWN_ACTIVATE: 'activate',
  CORNERSTONE_TOOLS_MOUSE_DRAG: 'move',
  CORNERSTONE_TOOLS_MOUSE_DOUBLE_CLICK: 'tap',
  CORNERSTONE_TOOLS_TOUCH_START: 'press',
  CORNERSTONE_TOOLS_TOUCH_START_ACTIVATE: 'activate',
  CORNERSTONE_TOOLS_TOUCH_PRESS: 'activate',
  CORNERSTONE_TOOLS_TOUCH_DRAG: 'move',
  CORNERSTONE_TOOLS_TAP: 'tap',
};

interface InputDetail {
  viewportId?: string;
  renderingEngineId?: string;
  event?: Event & { touches?: ArrayLike<unknown> };
  buttons?: number;
  mouseButton?: number;
}

export class PreviewGuard {
  readonly #host: Host;
  readonly #view: Window;
  readonly #note: ToolNote;
  #volumeTimer: ReturnType<typeof setTimeout> | undefined;
  /** Presses made on a preview. Cornerstone delivers a press up to 400 ms late, with the points it had at first. */
  readonly #pressedOnPreview = new WeakSet<Event>();
  /** Viewports that showed a preview when last seen: their figures are recomputed when it is complete. */
  readonly #previews = new Set<string>();
  /** A refused command that begins by itself when all is complete, unless another image is shown by then. */
  #waiting: { again: () => void; shown: string } | undefined;

  /** What is said beside the badge, and why nothing comes. */
  more: (viewport: Viewport) => string = () => '';
  trouble: (viewport: Viewport) => string | undefined = () => undefined;

  constructor(host: Host, view: Window) {
    this.#host = host;
    this.#view = view;
    this.#note = new ToolNote(view.document);
  }

  /** Says anew what each viewport shows. */
  refresh(): void {
    for (const viewport of this.#viewports()) this.#show(viewport);
  }

  /** Starts to watch; for the life of the page. */
  start(): void {
    for (const name of DISPLAY_EVENTS) this.#view.addEventListener(name, this.#onDisplay, true);
    for (const name of Object.keys(TOOL_EVENTS)) this.#view.addEventListener(name, this.#onToolInput, true);
    for (const name of ['mousedown', 'touchstart']) this.#view.addEventListener(name, this.#onPress, true);
    lockCommands(this.#host.commandsManager, (command, again) => this.#refuseCommand(command, again));
  }

  /** Volumes fill between renderings too. */
  watchVolumes(): void {
    const target = this.#view.cornerstone?.eventTarget;
    for (const name of ['CORNERSTONE_IMAGE_VOLUME_MODIFIED', 'CORNERSTONE_IMAGE_VOLUME_LOADING_COMPLETED']) {
      target?.removeEventListener(name, this.#onVolume);
      target?.addEventListener(name, this.#onVolume);
    }
  }

  stateOf(viewport: Viewport): Completeness {
    return completeness(viewport, id => this.#view.cornerstone?.cache.getVolume(id));
  }

  #viewports(): Viewport[] {
    return (this.#view.cornerstone?.getRenderingEngines() ?? []).flatMap(engine => engine.getViewports());
  }

  /** OHIF's metadata of the image that is shown, or of the first of a volume. */
  #instance(viewport: Viewport): Record<string, unknown> | undefined {
    const { cache, metaData } = this.#view.cornerstone!;
    const [volume] = viewport.getAllVolumeIds?.() ?? [];
    const imageId = volume === undefined ? viewport.getCornerstoneImage?.()?.imageId : cache.getVolume(volume)?.imageIds?.[0];
    return imageId === undefined ? undefined : metaData?.get('instance', imageId);
  }

  #find(detail: InputDetail): Viewport | undefined {
    if (!detail.viewportId || !detail.renderingEngineId) return undefined;
    return this.#view.cornerstone?.getRenderingEngine(detail.renderingEngineId)?.getViewport(detail.viewportId);
  }

  #show(viewport: Viewport): void {
    const state = this.stateOf(viewport);
    const trouble = state.state === 'complete' ? undefined : this.trouble(viewport);
    showState(viewport.element, state, trouble ?? (state.state === 'preview' ? this.more(viewport) : ''));
    showLoss(viewport, lossOf(this.#instance(viewport)));
    if (state.state === 'preview') {
      this.#previews.add(viewport.id);
    } else if (state.state === 'complete' && this.#previews.delete(viewport.id)) {
      this.#recompute(viewport);
      this.#note.complete(viewport.id);
      this.#begin();
    }
  }

  #begin(): void {
    if (!this.#waiting || this.#viewports().some(viewport => this.stateOf(viewport).state === 'preview')) return;
    const { again, shown } = this.#waiting;
    this.#waiting = undefined;
    if (shown === this.#shown()) again();
  }

  /** Names of what all viewports show. */
  #shown(): string {
    return this.#viewports().map(viewport => viewport.getCurrentImageId?.() ?? viewport.getAllVolumeIds?.().join() ?? '').join(' ');
  }

  /** Figures that were computed from the preview are computed again. */
  #recompute(viewport: Viewport): void {
    const tools = this.#view.cornerstoneTools;
    const shown = new Set([viewport.getCurrentImageId?.(), ...(viewport.getAllVolumeIds?.() ?? [])]);
    const stale = tools?.annotation.state.getAllAnnotations().filter(({ metadata }) => {
      return shown.has(metadata?.referencedImageId) || shown.has(metadata?.volumeId);
    });
    if (!stale?.length) return;
    for (const annotation of stale) annotation.invalidated = true;
    tools?.utilities.triggerAnnotationRenderForViewportIds([viewport.id]);
  }

  #onDisplay = (event: Event): void => {
    const viewport = this.#find((event as CustomEvent<InputDetail>).detail ?? {});
    if (viewport) this.#show(viewport);
  };

  /** Slices come by the hundred: what is said of them need not change with each. */
  #onVolume = (): void => {
    this.#volumeTimer ??= setTimeout(() => {
      this.#volumeTimer = undefined;
      this.refresh();
    }, VOLUME_MS);
  };

  #onPress = (event: Event): void => {
    const target = event.target;
    if (!(target instanceof this.#view.document.defaultView!.Node)) return;
    const viewport = this.#viewports().find(each => each.element.contains(target));
    if (viewport && this.stateOf(viewport).state === 'preview') this.#pressedOnPreview.add(event);
  };

  #onToolInput = (event: Event): void => {
    const detail = (event as CustomEvent<InputDetail>).detail ?? {};
    const viewport = this.#find(detail);
    if (!viewport) return;
    const begunOnPreview = detail.event !== undefined && this.#pressedOnPreview.has(detail.event);
    const loadsInParts = viewport.getCornerstoneImage !== undefined || viewport.getAllVolumeIds !== undefined;
    if (!loadsInParts || (!begunOnPreview && this.stateOf(viewport).state === 'complete')) return;

    const kind = TOOL_EVENTS[event.type]!;
    const tools = this.#view.cornerstoneTools;
    const group = tools?.ToolGroupManager.getToolGroupForViewport(viewport.id, viewport.renderingEngineId);
    const touches = detail.event?.touches?.length ?? null;
    const buttons = detail.buttons ?? detail.mouseButton ?? null;
    const verdict = judge({ kind, buttons, touches }, group, tools?.annotation.state.getAllAnnotations() ?? []);
    if (verdict.pass) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    for (const tool of verdict.tools) {
      if (kind === 'press') (touches === null ? tool.preMouseDownCallback : tool.preTouchStartCallback)?.call(tool, event);
    }
    if (verdict.tools.length > 0 || kind === 'move') return;
    flash(viewport.element);
    this.#note.refuse(viewport.id, activeTool(group, buttons));
  };

  #refuseCommand(command: string, again: () => void): boolean {
    const previews = this.#viewports().filter(viewport => this.stateOf(viewport).state === 'preview');
    if (previews.length === 0) return false;
    for (const viewport of previews) flash(viewport.element);
    const opens = opensLater(command);
    if (opens) this.#waiting = { again, shown: this.#shown() };
    this.#host.servicesManager.services.uiNotificationService?.show({
      title: 'The image is not complete yet',
      message: `What you see is a preview. ${opens ? 'Capture begins by itself' : 'Measuring, capture and saving are possible'} as soon as it is complete.`,
      type: 'warning',
      duration: 4000,
      id: `firstlight-${command}`,
    });
    return true;
  }
}

/** The tool of the button that was pressed, as its name is written in words. */
function activeTool(group: ToolGroup | undefined, button: number | null): string {
  const pressed = button ?? group?.getDefaultMousePrimary?.() ?? 1;
  const found = Object.entries(group?.toolOptions ?? {}).find(([, { mode, bindings }]) => mode === 'Active' && bindings?.some(binding => binding.mouseButton === pressed));
  return (found?.[0] ?? '').replace(/([a-z])([A-Z])/g, '$1 $2');
}
