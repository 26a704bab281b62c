/** What this extension uses of OHIF 3.13 and of the Cornerstone3D globals it sets; structural, so that nothing is bundled. */
import type { Begun } from '@firstlight/loader';
import type { Cornerstone as LoaderCornerstone, AnyViewport, TallyReading, ShownImage, ShownViewport, ShownVolume } from '@firstlight/loader/cornerstone';

export interface Viewport extends Omit<AnyViewport, keyof ShownViewport>, ShownViewport {
  renderingEngineId: string;
  getCornerstoneImage?: () => ShownImage | undefined;
}

/** Answers a question about an image, or leaves it to the next provider with `undefined`. */
export type MetadataProvider = (type: string, imageId: string) => Record<string, unknown> | undefined;

export interface Cornerstone extends LoaderCornerstone {
  cache: LoaderCornerstone['cache'] & { getVolume(id: string): ShownVolume | undefined };
  metaData: LoaderCornerstone['metaData'] & {
    addProvider(provider: MetadataProvider, priority: number): void;
    removeProvider(provider: MetadataProvider): void;
  };
  getRenderingEngine(id: string): { getViewport(id: string): Viewport | undefined } | undefined;
  getRenderingEngines(): { id: string; getViewports(): Viewport[]; renderViewports(ids: string[]): void }[] | undefined;
}

export interface Annotation {
  invalidated?: boolean;
  metadata?: { toolName?: string; referencedImageId?: string; volumeId?: string };
}

export interface Tool {
  toolName?: string;
  preMouseDownCallback?: (event: Event) => boolean;
  preTouchStartCallback?: (event: Event) => boolean;
}

export interface ToolGroup {
  toolOptions: Record<string, { mode: string; bindings?: ToolBinding[] }>;
  getToolInstance(name: string): Tool | undefined;
  getDefaultMousePrimary?: () => number;
}

export interface ToolBinding {
  mouseButton?: number;
  modifierKey?: number;
  numTouchPoints?: number;
}

export interface CornerstoneTools {
  ToolGroupManager: { getToolGroupForViewport(viewportId: string, renderingEngineId?: string): ToolGroup | undefined };
  annotation: { state: { getAllAnnotations(): Annotation[] } };
  utilities: {
    triggerAnnotationRenderForViewportIds(viewportIds: string[]): void;
    stackContextPrefetch?: { getConfiguration(): Record<string, unknown>; setConfiguration(configuration: Record<string, unknown>): void };
  };
}

export interface CommandsManager {
  runCommand(name: unknown, options?: unknown, context?: unknown): unknown;
}

export interface DisplaySet {
  instances?: { imageId?: string; OpticalPathSequence?: unknown; [attribute: string]: unknown }[];
  Modality?: string;
  SeriesDescription?: string;
  StudyInstanceUID?: string;
  SeriesInstanceUID?: string;
  /** Of a display set that lies over the images of another series. */
  referencedSeriesInstanceUID?: string | null;
}

export interface Services {
  userAuthenticationService?: { getAuthorizationHeader(): Record<string, string> | undefined };
  uiNotificationService?: { show(message: Record<string, unknown>): void };
  toolbarService?: {
    register(buttons: Record<string, unknown>[]): void;
    updateSection(section: string, buttons: string[]): void;
  };
  hangingProtocolService?: { registeredImageLoadStrategies?: Record<string, unknown> };
  displaySetService?: {
    EVENTS: { DISPLAY_SETS_ADDED: string };
    subscribe(event: string, listener: (detail: { displaySetsAdded?: DisplaySet[] }) => void): { unsubscribe(): void };
  };
}

/** What OHIF hands to an extension's hooks. */
export interface Host {
  servicesManager: { services: Services };
  commandsManager: CommandsManager;
}

/** What fetching ahead was good for, and how to begin as if nothing had been loaded. */
export interface Told {
  prefetch(): TallyReading;
  forget(): void;
}

declare global {
  interface Window {
    config?: unknown;
    cornerstone?: Cornerstone;
    cornerstoneTools?: CornerstoneTools;
    /** For measurements. */
    firstlight?: Told;
    /** What first light has received of the first image. */
    firstLightBegun?: { url: string; begun: Begun };
  }
}
