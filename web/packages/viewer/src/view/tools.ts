/** What dragging does. */
import type { Kind } from './measure.ts';

export type Tool = 'window' | 'scroll' | 'pan' | 'zoom' | Kind;

export const TOOLS: readonly { tool: Tool; name: string; key: string }[] = [
  { tool: 'window', name: 'Window', key: 'w' },
  { tool: 'scroll', name: 'Scroll', key: 's' },
  { tool: 'pan', name: 'Pan', key: 'p' },
  { tool: 'zoom', name: 'Zoom', key: 'z' },
  { tool: 'line', name: 'Length', key: 'l' },
  { tool: 'ellipse', name: 'Region', key: 'o' },
  { tool: 'point', name: 'Value', key: 'v' },
  { tool: 'arrow', name: 'Arrow', key: 'a' },
];

const MARKS = new Set<Tool>(['line', 'ellipse', 'point', 'arrow']);

export const isMark = (tool: Tool): tool is Kind => MARKS.has(tool);
