/**
 * Without a graphics card the processor draws every pixel of a page, and what nobody sees costs as much as what is seen: edges that are smoothed where a
 * slice fills its canvas, and the transparency of canvases that are opaque. There Cornerstone3D's canvases are made without both, and about half again
 * as many slices are drawn in a second. With a graphics card nothing changes: edges of surfaces in 3D stay smooth.
 */

/** Names of renderers that draw with the processor. */
const BY_PROCESSOR = /swiftshader|llvmpipe|softpipe|software|basic render/i;
/** The class of the canvas on which a viewport is seen. */
const SEEN = 'cornerstone-canvas';

type GetContext = (this: HTMLCanvasElement, kind: string, options?: object) => RenderingContext | null;

/** From now on, canvases of viewports are made plain where the processor draws. Returns what ends it. */
export function plainCanvases(view: Window & typeof globalThis, drawsByProcessor: () => boolean = once(() => isByProcessor(view.document))): () => void {
  const prototype = view.HTMLCanvasElement.prototype as unknown as { getContext: GetContext };
  const original = prototype.getContext;
  prototype.getContext = function (kind, options) {
    const plain = plainer(kind, options, this.classList.contains(SEEN));
    return original.call(this, kind, plain && drawsByProcessor() ? plain : options);
  };
  return () => {
    prototype.getContext = original;
  };
}

/** The options of a canvas of Cornerstone3D with less to draw; none for canvases of others, and where somebody has chosen. */
function plainer(kind: string, options: object | undefined, isSeen: boolean): object | undefined {
  if (kind === '2d') return isSeen && options === undefined ? { alpha: false } : undefined;
  // vtk.js asks like this, and leaves open whether edges are smoothed.
  const wished = options as WebGLContextAttributes | undefined;
  if (kind !== 'webgl2' || wished?.powerPreference !== 'high-performance' || wished.antialias !== undefined) return undefined;
  return { ...wished, antialias: false, alpha: false };
}

function isByProcessor(document: Document): boolean {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) return false;
  const named = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return BY_PROCESSOR.test(renderer);
}

function once<T>(ask: () => T): () => T {
  let answer: { is: T } | undefined;
  return () => (answer ??= { is: ask() }).is;
}
