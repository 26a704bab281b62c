import { describe, expect, it } from 'vitest';
import { withCheckedRanges } from './ranges.ts';

const ROOT = 'https://pacs.example/dicom-web';
const FRAME = `${ROOT}/studies/1/series/2/instances/3/frames/1`;

/** A server that answers in turn with these; each is `[status, Content-Range, ETag]`. */
function server(...answers: [number, string?, string?][]) {
  const network = async () => {
    const [status, range, tag] = answers.shift()!;
    const headers = new Headers();
    if (range) headers.set('Content-Range', range);
    if (tag) headers.set('ETag', tag);
    return new Response('body', { status, headers });
  };
  const fetch = withCheckedRanges(network as typeof globalThis.fetch, ROOT);
  return (range?: string, url = FRAME) => fetch(url, range ? { headers: { Accept: '*/*', Range: range } } : undefined);
}

describe('a range', () => {
  it('passes when it is what was asked for', async () => {
    const get = server([206, 'bytes 0-99/900', '"a"'], [206, 'bytes 100-299/900', '"a"'], [206, 'bytes 300-899/900', '"a"']);
    expect((await get('bytes=0-99')).status).toBe(206);
    expect((await get('bytes=100-299')).status).toBe(206);
    expect(await (await get('bytes=300-')).text()).toBe('body');
  });

  it.each([200, 404, 412, 416, 500, 503])('fails when status %i answers it in the middle', async status => {
    const get = server([206, 'bytes 0-99/900', '"a"'], [status]);
    await get('bytes=0-99');
    await expect(get('bytes=100-')).rejects.toThrow(String(status));
  });

  it('fails when it begins elsewhere, or does not say where', async () => {
    await expect(server([206, 'bytes 0-899/900'])('bytes=100-')).rejects.toThrow('bytes 0-899/900');
    await expect(server([206])('bytes=100-')).rejects.toThrow('no range');
  });

  it('fails when the image has changed since its beginning came', async () => {
    const get = server([206, 'bytes 0-99/900', '"a"'], [206, 'bytes 100-899/900', '"b"'], [206, 'bytes 0-99/800', '"b"'], [206, 'bytes 100-799/800', '"b"']);
    await get('bytes=0-99');
    await expect(get('bytes=100-')).rejects.toThrow('changed');
    await get('bytes=0-99');
    expect((await get('bytes=100-')).status).toBe(206);
  });

  it('from the beginning may be answered with the whole', async () => {
    expect((await server([200])('bytes=0-99')).status).toBe(200);
    await expect(server([503])('bytes=0-99')).rejects.toThrow('503');
  });
});

it('other requests pass as they are', async () => {
  expect((await server([503])()).status).toBe(503);
  expect((await server([500])('bytes=5-', 'https://other.example/file')).status).toBe(500);
});
