import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { FrameLoader } from '../../loader/src/loading/frame-loader.ts';
import type { FromPainter } from './first-messages.ts';
import { FirstPainter } from './first-painter.ts';

const ROOT = 'http://here/dicom-web';
const url = (study: string) => `${ROOT}/studies/${study}/series/1.3/instances/1.4/frames/1`;

function first(study: string, change: Record<string, unknown> = {}) {
  const values = { '0020000D': study, '0020000E': '1.3', '00080018': '1.4', '00280010': 1000, '00280011': 800, '00280002': 1, '00280100': 16, '00280101': 12, '00280103': 0, '00280004': 'MONOCHROME2', '00281050': 2048, '00281051': 4096, ...change };
  const metadata = { ...Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, { Value: [value] }])), '7FE00010': {} };
  return { study: { '00100020': { Value: [`patient of ${study}`] } }, series: [], first: { series: '1.3', instance: '1.4', frame: 1, metadata, levels: { transferSyntax: '1.2.840.10008.1.2.4.202', frames: [{ length: 9000, ends: [100, 900, 3000, 9000] }] } } };
}

/** Notes what is drawn: pictures as `columns x rows`, words as they are, and clearing. */
function canvas(log: string[]) {
  const context = { measureText: () => ({ width: 10 }), canvas: undefined as unknown, ...Object.fromEntries(['fillRect', 'save', 'restore', 'beginPath', 'rect', 'clip', 'roundRect', 'fill', 'putImageData'].map(name => [name, () => undefined])) };
  const drawn = Object.assign(context, { clearRect: () => log.push('cleared'), fillText: (words: string) => log.push(words), drawImage: (image: { width: number; height: number }) => log.push(`${image.width}x${image.height}`) });
  const made = { width: 300, height: 150, getContext: () => drawn };
  drawn.canvas = made;
  return made as unknown as OffscreenCanvas;
}

const image = (level: number) => {
  const [width, height] = [800 >> level, 1000 >> level];
  return { width, height, level, components: 1, precision: 12, signed: false, complete: true, need: undefined, samples: new Uint16Array(width * height) };
};
const settled = () => new Promise(later => setTimeout(later, 0));

let asked: string[];
let answers: (address: string) => Response;

beforeEach(() => {
  asked = [];
  answers = address => Response.json(first(/studies\/([\d.]+)/.exec(address)![1]!));
  vi.stubGlobal('OffscreenCanvas', class {
    constructor(width: number, height: number) {
      return Object.assign(canvas([]), { width, height });
    }
  });
  vi.stubGlobal('ImageData', class {
    readonly width: number;
    readonly height: number;
    constructor(...sizes: [...unknown[], number, number]) {
      [this.width, this.height] = sizes.slice(-2) as [number, number];
    }
  });
  vi.stubGlobal('createImageBitmap', async () => ({ width: 400, height: 500 }));
  vi.stubGlobal('fetch', async (address: string) => {
    asked.push(address);
    return answers(address);
  });
});
afterEach(() => vi.unstubAllGlobals());

function start() {
  const log: string[] = [];
  const leads: unknown[] = [];
  const said: FromPainter[] = [];
  const painter = new FirstPainter(() => ({ lead: (jobs: unknown[]) => leads.push(...(jobs.length > 0 ? jobs : [undefined])) }) as unknown as FrameLoader, message => said.push(message));
  painter.hear({ type: 'canvas', canvas: canvas(log) });
  painter.hear({ type: 'room', width: 600, height: 500, scale: 1 });
  log.length = 0;
  const study = (study: string) => ({ root: ROOT, study, headers: {} });
  return { painter, log, leads, said, study };
}

it('leads with the frame of a study that is opened, and draws each level with whose it is and that it is a preview', async () => {
  const { painter, log, leads, said, study } = start();
  painter.hear({ type: 'open', ...study('1.2') });
  await settled();
  expect(leads.at(-1)).toMatchObject({ frame: `wadors:${url('1.2')}`, level: 0, worth: [2], levels: { width: 800, height: 1000 } });
  expect(log).toEqual([]);
  painter.onImage(url('1.2'), image(2));
  expect(log).toEqual(['200x250', 'Preview, not for diagnosis: the viewer is loading', 'patient of 1.2']);
  expect(said.at(-1)).toMatchObject({ type: 'drawn', study: '1.2', columns: 200, rows: 250 });
  painter.onImage(url('1.5'), image(2));
  painter.onImage(url('1.2'), image(0));
  expect(log).toHaveLength(3);
});

it('draws nothing more when the viewer shows its own, or the study was left', async () => {
  const { painter, log, leads, said, study } = start();
  painter.hear({ type: 'open', ...study('1.2') });
  await settled();
  painter.hear({ type: 'close' });
  expect(leads.at(-1)).toBeUndefined();
  expect(said.at(-1)).toEqual({ type: 'cleared' });
  painter.onImage(url('1.2'), image(2));
  expect(log).toEqual(['cleared']);
  painter.hear({ type: 'open', ...study('1.2') });
  painter.hear({ type: 'close' });
  await settled();
  expect(log).toEqual(['cleared', 'cleared']);
});

it('keeps what came while the user still chose, and draws that at once', async () => {
  const { painter, log, leads, study } = start();
  painter.hear({ type: 'ask', ...study('1.2') });
  await settled();
  painter.onImage(url('1.2'), image(2));
  expect([log, leads]).toEqual([[], []]);
  painter.hear({ type: 'ask', ...study('1.5') });
  painter.hear({ type: 'open', ...study('1.2') });
  // The page asks too, and does not take the place of what is opened.
  painter.hear({ type: 'ask', ...study('1.2') });
  painter.hear({ type: 'ask', ...study('1.5') });
  await settled();
  expect(log[0]).toBe('200x250');
  expect(leads).toHaveLength(1);
  expect(asked.filter(address => address.includes('/1.2/'))).toHaveLength(1);
  painter.onImage(url('1.2'), image(1));
  expect(log[3]).toBe('400x500');
});

it('has the server render what must not be reduced', async () => {
  const { painter, log, leads, study } = start();
  answers = address => (address.includes('/rendered') ? new Response('jpeg') : Response.json(first('1.2', { '00280120': 0 })));
  painter.hear({ type: 'open', ...study('1.2') });
  await vi.waitFor(() => expect(log[0]).toBe('400x500'));
  expect(leads.filter(Boolean)).toEqual([]);
  expect(asked.at(-1)).toBe(`${url('1.2')}/rendered?viewport=400,500`);
});

it('draws anew when its place has another size', async () => {
  const { painter, log, study } = start();
  painter.hear({ type: 'open', ...study('1.2') });
  await settled();
  painter.onImage(url('1.2'), image(2));
  painter.hear({ type: 'room', width: 1200, height: 1000, scale: 2 });
  expect(log.filter(each => each === '200x250')).toHaveLength(2);
});

it('tells the page what the server says, and asks again where it could not', async () => {
  const { painter, said, study } = start();
  answers = () => new Response('', { status: 404 });
  painter.hear({ type: 'open', ...study('1.2') });
  await settled();
  expect(said).toEqual([{ type: 'answer', study: '1.2', answer: { status: 404 } }]);
  painter.hear({ type: 'ask', ...study('1.2') });
  await settled();
  expect(asked).toHaveLength(2);
});
