import { describe, expect, it } from 'vitest';
import { Frames, install, localPort, type Loading } from '../../src/cornerstone/index.ts';
import type { LoadedImage } from '../../src/cornerstone/api.ts';
import { endOf } from '../../src/levels.ts';
import { codestream, LEVELS, TestDecoders, TestServer, until } from '../server.ts';
import { idOf, StackStandIn, StandIn, volumeStandIn } from './stand-in.ts';

function start(server = new TestServer(), { levels = true, headers = () => ({}) }: { levels?: boolean; headers?: () => Record<string, string> } = {}) {
  const cornerstone = new StandIn();
  const decoders = new TestDecoders();
  const frames = new Frames({ loader: localPort(decoders, server.fetch), headers, pauses: { first: 5, most: 20, stalled: 200 } });
  const told = Array.from({ length: 20 }, (_, n) => [`3.${n}`, { transferSyntax: '1.2.840.10008.1.2.4.202', bodyOffset: 120, frames: [{ length: codestream.length, ends: LEVELS.ends }] }]);
  const document = levels ? { instances: Object.fromEntries(told) } : {};
  const loading: Loading = install(cornerstone.api, frames, { fetch: async (url, init) => (/levels$/.test(String(url)) ? new Response(JSON.stringify(document), { status: levels ? 200 : 404 }) : server.fetch(url, init)) });
  return { server, cornerstone, decoders, frames, loading };
}

const full = (cornerstone: StandIn, n: number): LoadedImage | undefined => {
  const image = cornerstone.images.get(idOf(n))?.image;
  return image?.imageQualityStatus === 8 ? image : undefined;
};

describe('a stack', () => {
  it('shows coarser levels and then the full image, by one request', async () => {
    const { server, cornerstone } = start();
    const viewport = new StackStandIn(1, 60);
    await cornerstone.loader('stack').loadImages([idOf(0)], viewport);
    expect(viewport.shown.length).toBeGreaterThan(0);
    await until(() => viewport.shown.at(-1)?.quality === 8);
    const sizes = viewport.shown.map(({ columns }) => columns);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes[0]).toBeLessThan(LEVELS.width);
    expect(viewport.shown.slice(0, -1).every(({ quality }) => quality === 6)).toBe(true);
    expect(server.asked.map(({ range }) => range)).toEqual([null]);
    expect(server.given).toBe(codestream.length);
  });

  it('gives values after the rescale, and Cornerstone has them in its cache', async () => {
    const { cornerstone } = start();
    const viewport = new StackStandIn(1, 60);
    void cornerstone.loader('stack').loadImages([idOf(0)], viewport);
    await until(() => full(cornerstone, 0) !== undefined);
    const image = full(cornerstone, 0)!;
    expect(image.getPixelData()).toBeInstanceOf(Int16Array);
    expect(image.getPixelData()[0]).toBe(100 - 1024);
    expect([image.columns, image.rows, image.minPixelValue]).toEqual([LEVELS.width, LEVELS.height, 100 - 1024]);
    expect(cornerstone.events).toContain('CORNERSTONE_IMAGE_LOADED');
  });

  it('fetches the next ones whole, and what lies around at a useful level for who stays', { timeout: 15_000 }, async () => {
    const { server, cornerstone, loading } = start();
    await loading.levels.openFor([idOf(0)]);
    const viewport = new StackStandIn(20, 60);
    const began = performance.now();
    const asked = () => [...new Set(server.asked.map(({ url }) => Number(/3\.(\d+)/.exec(url)![1])))];
    void cornerstone.loader('stack').loadImages([idOf(9)], viewport);
    await until(() => full(cornerstone, 9) !== undefined && full(cornerstone, 10) !== undefined && full(cornerstone, 8) !== undefined, 8000);
    await until(() => asked().length === 20, 8000);
    expect(asked().slice(0, 4)).toEqual([9, 10, 8, 11]);
    expect(performance.now() - began).toBeGreaterThan(3900);
    const far = server.asked.filter(({ url }) => url.includes('/3.1/'));
    expect(far).toHaveLength(1);
    expect(far[0]!.range).toBe(`bytes=0-${endOf(LEVELS, 1) - 1}`);
    expect(loading.tally.read().ahead).toBeGreaterThan(0);
  });

  it('shows at once what was fetched ahead, and counts it', async () => {
    const { cornerstone, loading, frames } = start();
    await loading.levels.openFor([idOf(0)]);
    const viewport = new StackStandIn(20, 60);
    const loader = cornerstone.loader('stack');
    void loader.loadImages([idOf(9)], viewport);
    await until(() => frames.has(idOf(11), 1));
    void loader.loadImages([idOf(11)], viewport);
    expect(viewport.shown.at(-1)!.imageId).toBe(idOf(11));
    expect(loading.tally.read()).toMatchObject({ hits: 1, misses: 0 });
  });

  it('has the next one in memory when a user who scrolls turns to it, and little that nobody looks at', { timeout: 15_000 }, async () => {
    const { cornerstone, loading } = start();
    await loading.levels.openFor([idOf(0)]);
    const viewport = new StackStandIn(60, 60);
    const loader = cornerstone.loader('stack');
    void loader.loadImages([idOf(0)], viewport);
    await until(() => full(cornerstone, 3) !== undefined);
    for (let at = 1; at <= 20; at++) {
      void loader.loadImages([idOf(at)], viewport);
      await new Promise(later => setTimeout(later, 100));
    }
    const { hits, misses, ahead, wasted } = loading.tally.read();
    expect(hits / (hits + misses)).toBeGreaterThan(0.85);
    expect(wasted / ahead).toBeLessThan(0.35);
  });

  it('drops what is passed', async () => {
    const server = new TestServer();
    const { cornerstone, loading } = start(server);
    await loading.levels.openFor([idOf(0)]);
    server.faults = [{ request: 0, how: 'stalled', after: 300 }];
    const viewport = new StackStandIn(20, 60);
    const loader = cornerstone.loader('stack');
    void loader.loadImages([idOf(0)], viewport);
    await until(() => server.asked.length === 1);
    void loader.loadImages([idOf(15)], viewport);
    await until(() => viewport.shown.at(-1)?.imageId === idOf(15));
    expect(server.asked[0]!.aborted).toBe(true);
  });

  it('leaves to the stock loader what it does not load', async () => {
    const { cornerstone, server } = start();
    cornerstone.modules.instance = { AvailableTransferSyntaxUID: '1.2.840.10008.1.2.4.100' };
    await cornerstone.loader('stack').loadImages([idOf(0)], new StackStandIn(1, 60));
    cornerstone.modules.instance = { AvailableTransferSyntaxUID: '1.2.840.10008.1.2.4.202', PixelPaddingValue: 0 };
    await cornerstone.loader('stack').loadImages([idOf(1)], new StackStandIn(1, 60));
    expect(cornerstone.stock).toEqual([idOf(0), idOf(1)]);
    expect(server.asked).toEqual([]);
  });

  it('leaves to it what cannot be had, which says why', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, status: 404 }];
    const { cornerstone } = start(server);
    await cornerstone.loader('stack').loadImages([idOf(0)], new StackStandIn(1, 60));
    expect(cornerstone.stock).toEqual([idOf(0)]);
  });

  it('leaves to it too what failed while it was fetched ahead, once it is looked at', async () => {
    const server = new TestServer();
    const { cornerstone, frames, loading } = start(server);
    await loading.levels.openFor([idOf(0)]);
    server.faults = [{ request: 1, status: 404 }];
    const viewport = new StackStandIn(2, 60);
    const loader = cornerstone.loader('stack');
    void loader.loadImages([idOf(0)], viewport);
    await until(() => frames.state(idOf(1)).state === 'failed');
    expect(cornerstone.stock).toEqual([]);
    await loader.loadImages([idOf(1)], viewport);
    expect(cornerstone.stock).toEqual([idOf(1)]);
  });

  it('goes on after a lost connection, from the byte where it stopped', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, how: 'lost', after: 2000 }];
    const { cornerstone, frames } = start(server);
    const states: string[] = [];
    frames.add({ wishes: () => ({ now: [], later: [] }), onPicture: () => undefined, onState: (_, { state }) => states.push(state) });
    void cornerstone.loader('stack').loadImages([idOf(0)], new StackStandIn(1, 60));
    await until(() => full(cornerstone, 0) !== undefined);
    expect(states).toContain('retrying');
    expect(server.asked[1]!.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(server.given).toBe(codestream.length);
  });

  it('sends the headers of now, and asks for others when it is turned away', async () => {
    const server = new TestServer();
    server.faults = [{ request: 0, status: 401 }];
    let token = 0;
    const { cornerstone } = start(server, { headers: () => ({ Authorization: `Bearer ${token++}` }) });
    void cornerstone.loader('stack').loadImages([idOf(0)], new StackStandIn(1, 60));
    await until(() => full(cornerstone, 0) !== undefined);
    const [refused, taken] = server.asked.map(({ authorization }) => authorization);
    expect(refused).not.toBe(taken);
  });

  it('forgets what Cornerstone lets go, and loads it again when it is wanted', async () => {
    const { server, cornerstone, frames } = start();
    const viewport = new StackStandIn(1, 60);
    const loader = cornerstone.loader('stack');
    void loader.loadImages([idOf(0)], viewport);
    await until(() => full(cornerstone, 0) !== undefined);
    cornerstone.images.clear();
    cornerstone.eventTarget.dispatchEvent(new CustomEvent('CORNERSTONE_IMAGE_CACHE_IMAGE_REMOVED', { detail: { imageId: idOf(0) } }));
    expect(frames.has(idOf(0), 0)).toBe(false);
    void loader.loadImages([idOf(0)], viewport);
    await until(() => full(cornerstone, 0) !== undefined);
    expect(server.asked).toHaveLength(2);
  });
});

describe('frames that come whole', () => {
  function startWhole(server = new TestServer()) {
    server.syntax = '1.2.840.10008.1.2.4.80';
    const all = start(server);
    all.cornerstone.modules.instance = { AvailableTransferSyntaxUID: server.syntax, WindowCenter: 40, WindowWidth: 400 };
    return all;
  }

  it('are decoded by the stock loader, whose values get the rescale here', async () => {
    const { server, cornerstone, frames } = startWhole();
    const viewport = new StackStandIn(1, 60);
    await cornerstone.loader('stack').loadImages([idOf(0)], viewport);
    expect(viewport.shown).toEqual([{ imageId: idOf(0), columns: LEVELS.width, quality: 8 }]);
    expect(full(cornerstone, 0)!.getPixelData()[0]).toBe((codestream.length % 1000) - 1024);
    expect(server.asked.map(({ range }) => range)).toEqual([null]);
    expect(cornerstone.stock).toEqual([]);
    expect(cornerstone.decoded).toHaveLength(1);
    expect(frames.line.bytes).toBe(codestream.length);
  });

  it('are asked for outwards from the one that is looked at, and stopped where the user jumps away', async () => {
    const server = new TestServer();
    const { cornerstone } = startWhole(server);
    server.faults = [0, 1, 2, 3, 4].map(request => ({ request, how: 'stalled' as const, after: 300 }));
    const loader = cornerstone.loader('stack');
    const viewport = new StackStandIn(40, 60);
    void loader.loadImages([idOf(3)], viewport);
    await until(() => server.asked.length > 0);
    void loader.loadImages([idOf(30)], viewport);
    await until(() => viewport.shown.at(-1)?.imageId === idOf(30));
    expect(server.asked[0]!.aborted).toBe(true);
    await until(() => full(cornerstone, 31) !== undefined && full(cornerstone, 29) !== undefined);
    expect(full(cornerstone, 0)).toBeUndefined();
  });

  it('fill a volume from every fourth slice on, without waiting for levels', async () => {
    const { server, cornerstone } = startWhole();
    const volume = volumeStandIn(20);
    await cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    expect(volume.imageIds.every((_, n) => full(cornerstone, n))).toBe(true);
    expect(volume.told.some(({ quality }) => quality === 3)).toBe(true);
    const first = server.asked.slice(0, 5).map(({ url }) => Number(/3\.(\d+)/.exec(url)![1]));
    expect(first.filter(n => n % 4 === 2 || n === 0 || n === 19)).toEqual(first);
    expect(server.given).toBe(20 * codestream.length);
  });

  it('go to the stock loader itself where they cannot be decoded', async () => {
    const { cornerstone } = startWhole();
    cornerstone.broken = true;
    await cornerstone.loader('stack').loadImages([idOf(0)], new StackStandIn(1, 60));
    expect(cornerstone.stock).toEqual([idOf(0)]);
  });
});

describe('a volume', () => {
  it('has a useful level of every slice before slices are full, and fetches nothing twice', async () => {
    const { server, cornerstone } = start();
    cornerstone.viewports = [{ id: 'pane', element: new EventTarget(), canvas: { width: 60, height: 60 }, getAllVolumeIds: () => ['volume'] }];
    const volume = volumeStandIn(20);
    await cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    const own = volume.told.filter(({ quality }) => quality === 6 || quality === 8);
    const lastReduced = own.findLastIndex(({ quality }) => quality === 6);
    const fullBefore = own.slice(0, lastReduced).filter(({ quality }) => quality === 8).length;
    // The first, and those that are asked for while the last useful levels are under way.
    expect(fullBefore).toBeLessThanOrEqual(6);
    expect(new Set(own.filter(({ quality }) => quality === 8).map(({ imageId }) => imageId)).size).toBe(20);
    expect(server.given).toBe(20 * codestream.length);
    expect(volume.autoRenderOnLoad).toBe(false);
  });

  it('fills gaps from neighbours, and keeps one buffer for each slice', async () => {
    const { cornerstone } = start();
    const volume = volumeStandIn(20);
    const done = cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    await until(() => volume.told.some(({ quality }) => quality === 3));
    const { imageId } = volume.told.find(({ quality }) => quality === 3)!;
    const before = cornerstone.images.get(imageId)!.image!;
    await done;
    const after = cornerstone.images.get(imageId)!.image!;
    expect(after).toBe(before);
    expect(after.imageQualityStatus).toBe(8);
    expect(after.getPixelData()[0]).toBe(100 - 1024);
    expect(after.getPixelData()).toHaveLength(LEVELS.width * LEVELS.height);
  });

  it('loads without the document of levels too', async () => {
    const { cornerstone } = start(new TestServer(), { levels: false });
    const volume = volumeStandIn(6);
    await cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    expect(volume.imageIds.every((_, n) => full(cornerstone, n))).toBe(true);
  });

  it('ends when it is let go', async () => {
    const server = new TestServer();
    const { cornerstone } = start(server);
    const volume = volumeStandIn(20);
    const done = cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    await until(() => server.asked.length > 3);
    cornerstone.eventTarget.dispatchEvent(new CustomEvent('CORNERSTONE_VOLUME_CACHE_VOLUME_REMOVED', { detail: { volumeId: 'volume' } }));
    await done;
    await new Promise(later => setTimeout(later, 30));
    const asked = server.asked.length;
    await new Promise(later => setTimeout(later, 60));
    expect(server.asked.length).toBe(asked);
    expect(asked).toBeLessThan(20);
  });

  it('becomes full where another volume of the series took levels and is let go', async () => {
    const server = new TestServer();
    const { cornerstone } = start(server);
    cornerstone.viewports = [{ id: 'pane', element: new EventTarget(), canvas: { width: 60, height: 60 }, getAllVolumeIds: () => ['volume', 'other'] }];
    const volume = volumeStandIn(20);
    void cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    await until(() => volume.told.filter(({ quality }) => quality === 6).length > 5);
    const other = Object.assign(volumeStandIn(20), { volumeId: 'other' });
    const done = cornerstone.loader('volume').loadImages(other.imageIds, other);
    cornerstone.eventTarget.dispatchEvent(new CustomEvent('CORNERSTONE_VOLUME_CACHE_VOLUME_REMOVED', { detail: { volumeId: 'volume' } }));
    await done;
    expect(other.imageIds.every((_, n) => full(cornerstone, n))).toBe(true);
  });

  it('does not wait for slices that fail, and counts each of them once', { timeout: 15_000 }, async () => {
    const server = new TestServer();
    const answer = server.fetch;
    const lost = /3\.(1[0-9])\//;
    // Ten of twenty: more than may be under way when it is told which slices lack most.
    (server as { fetch: typeof fetch }).fetch = async (url, init) => (lost.test(String(url)) ? new Response('no such image', { status: 404 }) : answer(url, init));
    const { cornerstone, frames } = start(server);
    cornerstone.viewports = [{ id: 'pane', element: new EventTarget(), canvas: { width: 60, height: 60 }, getAllVolumeIds: () => ['volume'] }];
    const volume = volumeStandIn(20);
    let over = false;
    void cornerstone.loader('volume').loadImages(volume.imageIds, volume).then(() => (over = true));
    const timer = setInterval(() => frames.retry(), 15);
    await until(() => over, 10_000);
    clearInterval(timer);
    for (let n = 0; n < 10; n++) expect(full(cornerstone, n), `slice ${n}`).toBeDefined();
  });

  it('is left to the stock loader where a slice is not loaded here', async () => {
    const { cornerstone } = start();
    cornerstone.modules.instance = { AvailableTransferSyntaxUID: '1.2.840.10008.1.2.4.80', PixelPaddingValue: 0 };
    const volume = volumeStandIn(3);
    await cornerstone.loader('volume').loadImages(volume.imageIds, volume);
    expect(cornerstone.stock).toEqual(volume.imageIds);
  });
});
