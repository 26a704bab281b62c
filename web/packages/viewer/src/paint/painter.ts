/** The painter of a place: WebGL2 where it is there, a 2D canvas else, and after the graphics processor was lost. */
import { CanvasPainter } from './canvas.ts';
import type { Painter } from './layer.ts';
import { webglPainter } from './webgl.ts';

/** `paint=2d` or `paint=webgl2` in the address decides, for tests and for those who see a fault. */
const asked = new URLSearchParams(location.search).get('paint');

/** Puts a canvas into `place` and gives its painter; `again` is called with another one if it is lost. */
export function painterIn(place: HTMLElement, again: (painter: Painter) => void): Painter {
  const canvas = document.createElement('canvas');
  canvas.className = 'image';
  place.prepend(canvas);
  const painter = asked === '2d' ? undefined : webglPainter(canvas, asked === 'webgl2', () => again(onto2d(place, canvas)));
  return painter ?? (canvas.getContext('2d', { alpha: false }) ? new CanvasPainter(canvas) : onto2d(place, canvas));
}

/** A canvas that had WebGL can have nothing else: another one takes its place. */
function onto2d(place: HTMLElement, lost: HTMLCanvasElement): Painter {
  const canvas = document.createElement('canvas');
  canvas.className = 'image';
  [canvas.width, canvas.height, canvas.style.cssText] = [lost.width, lost.height, lost.style.cssText];
  lost.remove();
  place.prepend(canvas);
  return new CanvasPainter(canvas);
}
