/**
 * Which input reaches the tools of a viewport that shows a preview: what moves the view passes, all else is refused.
 *
 * The rule is a list of what is allowed, so that a tool nobody thought of is locked.
 */
import type { Annotation, Tool, ToolGroup } from './host.ts';

/** Tools that change how the image is looked at and take no value or place from it. */
const VIEW_TOOLS = new Set([
  'WindowLevel',
  'Pan',
  'Zoom',
  'StackScroll',
  'PlanarRotate',
  'TrackballRotate',
  'VolumeRotate',
  'VolumeRotateMouseWheel',
  'Crosshairs',
  'WorldCrosshair',
  'SliceIntersection',
  'MIPJumpToClickTool',
  'Magnify',
  'ReferenceLines',
  'ReferenceCursors',
  'OrientationMarker',
  'OrientationControllerTool',
  'VolumeCropping',
  'VolumeCroppingControl',
]);

/** A press, drag or tap as the tools get it. */
export interface ToolInput {
  kind: 'press' | 'activate' | 'move' | 'tap';
  /** Mouse buttons held, or the number of fingers. */
  buttons: number | null;
  touches: number | null;
}

export type Verdict =
  | { pass: true }
  /** Stop the event. `tools` may still be told of the press, so that a drag of theirs can begin. */
  | { pass: false; tools: Tool[] };

/**
 * What to do with an input to a preview.
 *
 * Any active tool that this button or touch could reach, with whatever modifier key, must be a view tool. A press is not
 * handed on even then, because the dispatcher would let it grab the handle of a measurement lying there.
 */
export function judge(input: ToolInput, group: ToolGroup | undefined, annotations: readonly Annotation[]): Verdict {
  const names = group ? toolsReached(input, group) : [];
  if (names.length === 0 || !names.every(name => VIEW_TOOLS.has(name))) return { pass: false, tools: [] };
  if (input.kind !== 'press' && input.kind !== 'tap') return { pass: true };
  if (annotations.every(annotation => VIEW_TOOLS.has(annotation.metadata?.toolName ?? ''))) return { pass: true };
  return { pass: false, tools: names.flatMap(name => group!.getToolInstance(name) ?? []) };
}

function toolsReached(input: ToolInput, group: ToolGroup): string[] {
  const primary = group.getDefaultMousePrimary?.() ?? 1;
  return Object.entries(group.toolOptions)
    .filter(([, { mode, bindings }]) => {
      if (mode !== 'Active') return false;
      return bindings?.some(binding =>
        input.touches === null
          ? binding.mouseButton === (input.buttons ?? primary)
          : binding.numTouchPoints === input.touches || (input.touches === 1 && binding.mouseButton === primary)
      );
    })
    .map(([name]) => name);
}
