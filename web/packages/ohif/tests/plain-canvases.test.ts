import { afterEach, describe, expect, test, vi } from 'vitest';
import { plainCanvases } from '../src/plain-canvases.ts';

const VTK = { preserveDrawingBuffer: false, depth: true, alpha: true, powerPreference: 'high-performance' };

/** A window of which only the canvases are there; they tell what they were asked for. */
function windowWith(asked: unknown[][]) {
  class HTMLCanvasElement {
    classList = { contains: (name: string) => this.className === name };
    constructor(readonly className = '') {}
    getContext(...how: unknown[]) {
      asked.push(how);
      return null;
    }
  }
  return { view: { HTMLCanvasElement } as unknown as Window & typeof globalThis, canvas: (name = '') => new HTMLCanvasElement(name) };
}

describe('canvases where the processor draws', () => {
  let end = () => undefined as void;
  afterEach(() => end());

  test('those of viewports are made without smoothed edges and transparency', () => {
    const asked: unknown[][] = [];
    const { view, canvas } = windowWith(asked);
    end = plainCanvases(view, () => true);
    canvas().getContext('webgl2', VTK);
    canvas('cornerstone-canvas').getContext('2d');
    expect(asked).toEqual([['webgl2', { ...VTK, antialias: false, alpha: false }], ['2d', { alpha: false }]]);
  });

  test('those of others, and what somebody has chosen, stay', () => {
    const asked: unknown[][] = [];
    const { view, canvas } = windowWith(asked);
    end = plainCanvases(view, () => true);
    canvas().getContext('2d');
    canvas().getContext('webgl2');
    canvas().getContext('webgl2', { ...VTK, antialias: true });
    canvas('cornerstone-canvas').getContext('2d', { alpha: true });
    expect(asked).toEqual([['2d', undefined], ['webgl2', undefined], ['webgl2', { ...VTK, antialias: true }], ['2d', { alpha: true }]]);
  });

  test('with a graphics card nothing changes, and it is asked of only where it matters', () => {
    const asked: unknown[][] = [];
    const { view, canvas } = windowWith(asked);
    const byProcessor = vi.fn(() => false);
    end = plainCanvases(view, byProcessor);
    canvas().getContext('2d');
    expect(byProcessor).not.toHaveBeenCalled();
    canvas().getContext('webgl2', VTK);
    expect(asked).toEqual([['2d', undefined], ['webgl2', VTK]]);
  });
});
