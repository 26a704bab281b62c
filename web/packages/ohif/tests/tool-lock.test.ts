import { describe, expect, it } from 'vitest';
import { isLocked, lockCommands } from '../src/command-lock.ts';
import type { CommandsManager, ToolGroup } from '../src/host.ts';
import { judge, type ToolInput } from '../src/tool-lock.ts';

const mouse = (kind: ToolInput['kind'], buttons: number): ToolInput => ({ kind, buttons, touches: null });

const group = (tools: Record<string, number[]>): ToolGroup => ({
  toolOptions: {
    Length: { mode: 'Passive', bindings: [] },
    ...Object.fromEntries(
      Object.entries(tools).map(([name, buttons]) => [
        name,
        { mode: 'Active', bindings: buttons.map(mouseButton => ({ mouseButton })) },
      ])
    ),
  },
  getToolInstance: name => ({ toolName: name }),
});

const LENGTH = { metadata: { toolName: 'Length' } };

describe('on a preview', () => {
  it.each(['Length', 'Probe', 'DragProbe', 'RectangleROI', 'Brush', 'Bidirectional', 'ToolOfTomorrow'])('%s is refused', name => {
    for (const kind of ['press', 'activate', 'move', 'tap'] as const) {
      expect(judge(mouse(kind, 1), group({ [name]: [1] }), [])).toEqual({ pass: false, tools: [] });
    }
  });

  it.each(['WindowLevel', 'Pan', 'Zoom', 'StackScroll', 'Crosshairs'])('%s works', name => {
    for (const kind of ['press', 'activate', 'move'] as const) {
      expect(judge(mouse(kind, 1), group({ [name]: [1] }), [])).toEqual({ pass: true });
    }
  });

  it('a press of a view tool cannot take hold of a measurement', () => {
    const both = group({ Zoom: [2] });
    expect(judge(mouse('press', 2), both, [LENGTH])).toEqual({ pass: false, tools: [{ toolName: 'Zoom' }] });
    expect(judge(mouse('move', 2), both, [LENGTH])).toEqual({ pass: true });
  });

  it('a button is judged by every tool it could reach', () => {
    const tools = { WindowLevel: [1], Length: [1], Pan: [4] };
    expect(judge(mouse('activate', 1), group(tools), []).pass).toBe(false);
    expect(judge(mouse('activate', 4), group(tools), []).pass).toBe(true);
    expect(judge(mouse('activate', 2), group(tools), []).pass).toBe(false);
    expect(judge({ kind: 'activate', buttons: null, touches: 1 }, group(tools), []).pass).toBe(false);
    expect(judge({ kind: 'activate', buttons: null, touches: 1 }, group({ Pan: [1] }), []).pass).toBe(true);
  });

  it('nothing is known of a viewport without tools: refused', () => {
    expect(judge(mouse('activate', 1), undefined, []).pass).toBe(false);
  });
});

describe('commands', () => {
  it('that save or capture run only when nothing refuses', () => {
    const run: unknown[] = [];
    const manager: CommandsManager = { runCommand: name => (run.push(name), 'done') };
    let preview = true;
    lockCommands(manager, () => preview);
    expect(manager.runCommand('storeMeasurements')).toBeUndefined();
    expect(manager.runCommand('showDownloadViewportModal')).toBeUndefined();
    expect(manager.runCommand('setViewportWindowLevel')).toBe('done');
    preview = false;
    expect(manager.runCommand('storeMeasurements')).toBe('done');
    expect(run).toEqual(['setViewportWindowLevel', 'storeMeasurements']);
  });

  it('of the layout are not locked', () => {
    for (const name of ['storePresentation', 'updateStoredPositionPresentation', 'setToolActive']) expect(isLocked(name)).toBe(false);
  });
});
