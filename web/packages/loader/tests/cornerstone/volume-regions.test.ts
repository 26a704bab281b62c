import { expect, it } from 'vitest';
import { Frames, install } from '../../src/cornerstone/index.ts';
import type { FromLoader, LoaderPort, ToLoader } from '../../src/loading/messages.ts';
import { LEVELS, until } from '../server.ts';
import { idOf, StandIn, volumeStandIn } from './stand-in.ts';

const { width, height } = LEVELS;
const LINE = { throughput: 1e6, delay: 10, bytes: 0, open: 0 };
/** Lines of samples that differ much: nothing between them can be told. */
const NOISE = Int16Array.from({ length: width * height }, (_, n) => (Math.floor(n / width) % 4 < 2 ? 300 : -200) * (n % 3 ? 1 : -1));

type Want = Extract<ToLoader, { type: 'want' }>;

function start(count: number) {
  const cornerstone = new StandIn();
  const wants: Want[] = [];
  const forgotten: string[] = [];
  const post = (message: ToLoader) => {
    if (message.type === 'want') wants.push(message);
    if (message.type === 'forget') forgotten.push(...message.frames);
  };
  const port: LoaderPort = { post, onMessage: () => undefined, close: () => undefined };
  const frames = new Frames({ loader: port });
  install(cornerstone.api, frames, { fetch: async () => new Response('', { status: 404 }) });
  const say = (message: FromLoader) => port.onMessage(message);
  const camera = { viewPlaneNormal: [0, 1, 0], focalPoint: [10, 21, 3] };
  cornerstone.viewports = [{ id: 'pane', element: new EventTarget(), canvas: { width: 60, height: 60 }, getAllVolumeIds: () => ['volume'], getCamera: () => camera, getProperties: () => ({ voiRange: { lower: -200, upper: 300 } }) }];
  const volume = Object.assign(volumeStandIn(count), { imageData: { worldToIndex: (point: number[]) => point } });
  void cornerstone.loader('volume').loadImages(volume.imageIds, volume);
  const level = (n: number, at: number, values: Int16Array) => say({ type: 'picture', frame: idOf(n), picture: { level: at, width, height, components: 1, values, min: -300, max: 300, bytes: values.byteLength }, levels: LEVELS, line: LINE });
  return { cornerstone, volume, wants, forgotten, say, level };
}

const regionsOf = (want: Want | undefined) => (want?.regions ?? []).map(({ frame }) => frame);

it('wishes for the lines that a plane shows between the samples, of as few slices as it takes, and writes them into the slices', async () => {
  const { cornerstone, volume, wants, say, level } = start(6);
  for (let n = 0; n < 6; n++) level(n, 1, NOISE.slice());
  await until(() => regionsOf(wants.at(-1)).length > 0);
  const want = wants.at(-1)!;
  const region = { x: 0, y: 21, width, height: 1 };
  expect(want.regions![0]).toMatchObject({ region, detail: 'rows', url: idOf(0).slice('wadors:'.length).replace('3.0', /3\.\d/.exec(want.regions![0]!.frame)![0]), shape: { type: 'Int16Array' } });
  expect(want.jobs.map(({ level: at }) => at).every(at => at === 0)).toBe(true);

  const [first, second] = regionsOf(want);
  const told = volume.told.length;
  say({ type: 'region', frame: first!, region, values: new Int16Array(width).fill(77), line: LINE });
  const samples = cornerstone.images.get(first!)!.image!.getPixelData();
  expect([samples[21 * width], samples[22 * width - 1]]).toEqual([77, 77]);
  expect([samples[20 * width], samples[22 * width]]).toEqual([NOISE[20 * width], NOISE[22 * width]]);
  expect(volume.told.slice(told)).toEqual([{ imageId: first, quality: 6 }]);

  // What can't be had by itself comes whole, before the others.
  say({ type: 'region', frame: second!, region, values: undefined, line: LINE });
  await until(() => wants.at(-1) !== want);
  expect(regionsOf(wants.at(-1))).not.toContain(first);
  expect(regionsOf(wants.at(-1))).not.toContain(second);
  expect(wants.at(-1)!.jobs[0]).toMatchObject({ frame: second, level: 0 });

  // The full image takes the place of all.
  level(Number(/3\.(\d)/.exec(first!)![1]), 0, NOISE.slice());
  expect(samples[21 * width]).toBe(NOISE[21 * width]);
});

it('has a picture made anew that was made by another rescale than the slice has', async () => {
  const { cornerstone, wants, forgotten, say } = start(6);
  const picture = (intercept: number) => ({ level: 1, width, height, components: 1, values: NOISE.slice(), min: -300, max: 300, bytes: NOISE.byteLength, made: { slope: 1, intercept, bits: 12 } });
  say({ type: 'picture', frame: idOf(2), picture: picture(0), levels: LEVELS, line: LINE });
  expect([forgotten, cornerstone.images.get(idOf(2))]).toEqual([[idOf(2)], undefined]);
  await until(() => wants.at(-1)?.jobs.some(({ frame, level, shape }) => frame === idOf(2) && level === 1 && shape?.intercept === -1024) === true);
  say({ type: 'picture', frame: idOf(2), picture: picture(-1024), levels: LEVELS, line: LINE });
  expect(cornerstone.images.get(idOf(2))?.image?.imageQualityStatus).toBe(6);
});

it('wishes for none where the planes lie on samples', async () => {
  const { cornerstone, wants, level } = start(6);
  (cornerstone.viewports[0] as { getCamera(): object }).getCamera = () => ({ viewPlaneNormal: [0, 1, 0], focalPoint: [10, 20, 3] });
  for (let n = 0; n < 6; n++) level(n, 1, NOISE.slice());
  await new Promise(later => setTimeout(later, 20));
  expect(regionsOf(wants.at(-1))).toEqual([]);
  expect(wants.at(-1)!.jobs).toHaveLength(6);
});
