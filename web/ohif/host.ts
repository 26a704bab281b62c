/** What this extension uses of OHIF 3.13 and of the Cornerstone3D globals it sets; structural, so that nothing is bundled. */
import type { ImagesLoader, LoadImage, RetrieveConfiguration, RetrieveStage } from '../cornerstone/retrieve.ts';
import type { ShownImage, ShownViewport, ShownVolume } from '../cornerstone/completeness.ts';

export interface Viewport extends ShownViewport {
  id: string;
  renderingEngineId: string;
  element: HTMLElement;
  getCornerstoneImage?: () => ShownImage | undefined;
}

/** Answers a question about an image, or leaves it to the next provider with `undefined`. */
export type MetadataProvider = (type: string, imageId: string) => Record<string, unknown> | undefined;

export interface Cornerstone {
  ProgressiveRetrieveImages: {
    createProgressive(configuration: RetrieveConfiguration): ImagesLoader;
    interleavedRetrieveStages: { stages: readonly RetrieveStage[] };
  };
  imageLoader: { loadAndCacheImage: LoadImage };
  utilities: {
    imageRetrieveMetadataProvider: { add(key: string, configuration: RetrieveConfiguration): void };
  };
  metaData: {
    get(type: string, imageId: string): Record<string, unknown> | undefined;
    addProvider(provider: MetadataProvider, priority: number): void;
    removeProvider(provider: MetadataProvider): void;
  };
  cache: { getVolume(id: string): ShownVolume | undefined };
  getRenderingEngine(id: string): { getViewport(id: string): Viewport | undefined } | undefined;
  getRenderingEngines(): { getViewports(): Viewport[] }[] | undefined;
  eventTarget: EventTarget;
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
  utilities: { triggerAnnotationRenderForViewportIds(viewportIds: string[]): void };
}

export interface CommandsManager {
  runCommand(name: unknown, options?: unknown, context?: unknown): unknown;
}

export interface DisplaySet {
  instances?: { imageId?: string; wadoRoot?: string; StudyInstanceUID?: string; SeriesInstanceUID?: string }[];
  StudyInstanceUID?: string;
  SeriesInstanceUID?: string;
}

export interface Services {
  userAuthenticationService?: { getAuthorizationHeader(): Record<string, string> | undefined };
  uiNotificationService?: { show(message: Record<string, unknown>): void };
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

declare global {
  interface Window {
    config?: unknown;
    cornerstone?: Cornerstone;
    cornerstoneTools?: CornerstoneTools;
  }
}
