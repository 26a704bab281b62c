import { describe, expect, it } from 'vitest';
import { isBelow, withAuthorization } from '../src/authorization.ts';

const ROOT = 'https://pacs.example/dicom-web';

/** What reaches the network for a request. */
async function sent(input: RequestInfo | URL, init?: RequestInit, header: string | null = 'Bearer secret') {
  let request: Request | undefined;
  const network = async (input: RequestInfo | URL, init?: RequestInit) => {
    request = new Request(input instanceof Request ? input : new URL(String(input), ROOT), init);
    return new Response();
  };
  await withAuthorization(network as typeof fetch, ROOT, () => header)(input, init);
  return request!.headers;
}

describe('authorization', () => {
  it('is added to a byte range below the root', async () => {
    const headers = await sent(`${ROOT}/studies/1/frames/1`, { headers: { Range: 'bytes=0-99' } });
    expect(headers.get('Authorization')).toBe('Bearer secret');
    expect(headers.get('Range')).toBe('bytes=0-99');
    expect((await sent('/dicom-web/studies')).get('Authorization')).toBe('Bearer secret');
    expect((await sent(new URL(`${ROOT}/studies`))).get('Authorization')).toBe('Bearer secret');
  });

  it('keeps what a request carries already', async () => {
    const own = { headers: { Authorization: 'Basic own', Accept: 'application/json' } };
    expect((await sent(`${ROOT}/studies`, own)).get('Authorization')).toBe('Basic own');
    const request = await sent(new Request(`${ROOT}/studies`, { headers: { Accept: 'application/json' } }));
    expect(request.get('Authorization')).toBe('Bearer secret');
    expect(request.get('Accept')).toBe('application/json');
  });

  it.each([
    'https://pacs.example/viewer/app.js',
    'https://pacs.example/dicom-web-other/studies',
    'https://pacs.example/dicom-webX',
    'https://pacs.example/dicom-web/../admin',
    'https://other.example/dicom-web/studies',
    'http://pacs.example/dicom-web/studies',
    'https://pacs.example.evil/dicom-web/studies',
    'https://pacs.example:8443/dicom-web/studies',
  ])('never goes to %s', async url => {
    expect(isBelow(url, ROOT)).toBe(false);
    expect((await sent(url)).has('Authorization')).toBe(false);
  });

  it('is absent where nobody is signed in', async () => {
    expect((await sent(`${ROOT}/studies`, {}, null)).has('Authorization')).toBe(false);
  });
});
