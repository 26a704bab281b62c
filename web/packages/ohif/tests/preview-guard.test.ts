import { beforeEach, describe, expect, it } from 'vitest';
import type { Annotation, Host } from '../src/host.ts';
import { PreviewGuard } from '../src/preview-guard.ts';

/** As much of an element as the guard touches. */
class Element {
  dataset: Record<string, string> = {};
  children: { textContent: string; className: string }[] = [];
  ownerDocument = {
    getElementById: () => ({}),
    createElement: () => {
      const made = { textContent: '', className: '', style: {}, setAttribute: () => {}, remove: () => (this.children = this.children.filter(each => each !== made)), classList: { add: () => {}, remove: () => {} } };
      return made;
    },
  };
  get badge() {
    return this.child('firstlight-preview-badge');
  }
  child = (name: string) => this.children.find(({ className }) => className === name) ?? null;
  querySelector = (selector: string) => this.child(selector.slice(selector.indexOf('.') + 1));
  contains = (other: unknown) => other === this;
  append = (child: { textContent: string; className: string }) => this.children.push(child);
}

/** A page with one stack viewport whose left button has `tool`; `instance` is what OHIF knows of its image. */
function page(tool: string, instance: Record<string, unknown> = {}) {
  const element = new Element();
  const image = { imageId: 'wadors:a', imageQualityStatus: 6 };
  const annotations: Annotation[] = [];
  const rendered: string[][] = [];
  const viewport = {
    id: 'one',
    renderingEngineId: 'engine',
    type: 'stack',
    element,
    getCornerstoneImage: () => image,
    getCurrentImageId: () => image.imageId,
  };
  const view = Object.assign(new EventTarget(), {
    document: { defaultView: { Node: Element } },
    cornerstone: {
      cache: { getVolume: () => undefined },
      metaData: { get: (type: string) => (type === 'instance' ? instance : undefined) },
      getRenderingEngine: () => ({ getViewport: () => viewport }),
      getRenderingEngines: () => [{ getViewports: () => [viewport] }],
      eventTarget: new EventTarget(),
    },
    cornerstoneTools: {
      ToolGroupManager: {
        getToolGroupForViewport: () => ({
          toolOptions: { [tool]: { mode: 'Active', bindings: [{ mouseButton: 1 }] } },
          getToolInstance: () => ({}),
        }),
      },
      annotation: { state: { getAllAnnotations: () => annotations } },
      utilities: { triggerAnnotationRenderForViewportIds: (ids: string[]) => rendered.push(ids) },
    },
  });
  const said: unknown[] = [];
  const ran: unknown[] = [];
  const commandsManager = { runCommand: (name: unknown) => (ran.push(name), true) };
  const host: Host = { servicesManager: { services: { uiNotificationService: { show: message => said.push(message) } } }, commandsManager };
  new PreviewGuard(host, view as unknown as Window).start();

  const send = (type: string, press: object = {}) => {
    const detail = { viewportId: 'one', renderingEngineId: 'engine', mouseButton: 1, event: press };
    const event = new CustomEvent(type, { detail, cancelable: true });
    let reached = false;
    const tools = () => (reached = true);
    view.addEventListener(type, tools);
    view.dispatchEvent(event);
    view.removeEventListener(type, tools);
    return reached;
  };
  const press = () => {
    const event = new Event('mousedown');
    Object.defineProperty(event, 'target', { value: element });
    view.dispatchEvent(event);
    return event;
  };
  const complete = () => {
    image.imageQualityStatus = 8;
    send('CORNERSTONE_IMAGE_RENDERED');
  };
  const turnTo = (imageId: string) => (image.imageId = imageId);
  return { element, annotations, rendered, said, ran, commandsManager, send, press, complete, turnTo };
}

const ACTIVATE = 'CORNERSTONE_TOOLS_MOUSE_DOWN_ACTIVATE';

describe('a preview', () => {
  let shown: ReturnType<typeof page>;
  beforeEach(() => {
    shown = page('Length');
    shown.send('CORNERSTONE_IMAGE_RENDERED');
  });

  it('wears a badge, and the complete image does not', () => {
    expect(shown.element.badge?.textContent).toContain('not for measurement');
    expect(shown.element.dataset.firstlight).toBe('preview');
    shown.complete();
    expect(shown.element.badge).toBeNull();
    expect(shown.element.dataset.firstlight).toBe('complete');
  });

  it('keeps presses, drags and touches from a measuring tool', () => {
    for (const type of ['MOUSE_DOWN', 'MOUSE_DOWN_ACTIVATE', 'MOUSE_DRAG', 'MOUSE_DOUBLE_CLICK', 'TOUCH_START', 'TOUCH_DRAG', 'TAP']) {
      expect(shown.send(`CORNERSTONE_TOOLS_${type}`), type).toBe(false);
    }
    shown.complete();
    expect(shown.send(ACTIVATE)).toBe(true);
  });

  it('keeps a press that was made on it, though it is complete when the press is delivered', () => {
    const press = shown.press();
    shown.complete();
    expect(shown.send(ACTIVATE, press)).toBe(false);
    expect(shown.send(ACTIVATE, shown.press())).toBe(true);
  });

  it('refuses to be captured or reported, and says why', () => {
    expect(shown.commandsManager.runCommand('storeMeasurements')).toBeUndefined();
    expect(shown.said).toHaveLength(1);
    shown.complete();
    expect(shown.ran).toEqual([]);
    expect(shown.commandsManager.runCommand('storeMeasurements')).toBe(true);
    expect(shown.ran).toEqual(['storeMeasurements']);
  });

  it('is captured by itself as soon as it is complete, and no other image is', () => {
    shown.commandsManager.runCommand('showDownloadViewportModal');
    expect(shown.ran).toEqual([]);
    shown.complete();
    expect(shown.ran).toEqual(['showDownloadViewportModal']);
    const other = page('Length');
    other.send('CORNERSTONE_IMAGE_RENDERED');
    other.commandsManager.runCommand('showDownloadViewportModal');
    other.turnTo('wadors:b');
    other.complete();
    expect(other.ran).toEqual([]);
  });

  it('leaves no figure behind: those of its image are computed again', () => {
    const here: Annotation = { metadata: { toolName: 'Length', referencedImageId: 'wadors:a' } };
    const elsewhere: Annotation = { metadata: { toolName: 'Length', referencedImageId: 'wadors:b' } };
    shown.annotations.push(here, elsewhere);
    shown.complete();
    expect([here.invalidated, elsewhere.invalidated]).toEqual([true, undefined]);
    expect(shown.rendered).toEqual([['one']]);
  });
});

it('a view tool works on a preview', () => {
  const { send } = page('WindowLevel');
  for (const type of ['MOUSE_DOWN', 'MOUSE_DOWN_ACTIVATE', 'MOUSE_DRAG']) expect(send(`CORNERSTONE_TOOLS_${type}`), type).toBe(true);
});

it('loss is marked on a preview and on the complete image alike', () => {
  const { element, send, complete } = page('Length', { LossyImageCompression: '01', LossyImageCompressionRatio: '12' });
  send('CORNERSTONE_IMAGE_RENDERED');
  expect(element.child('firstlight-lossy')?.textContent).toBe('Lossy 12 : 1');
  complete();
  expect(element.child('firstlight-lossy')?.textContent).toBe('Lossy 12 : 1');
});
