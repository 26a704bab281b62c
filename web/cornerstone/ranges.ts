/**
 * Byte ranges that can be trusted (RFC 9110 14, 15.3.7).
 *
 * Cornerstone3D appends whatever a range request brings to what it has, and takes any answer but 206 for the end of the image:
 * an error in the middle would pass for a complete image of full quality. So an answer that is not the range asked for, of the
 * representation that the first range came from, becomes a failed request, and the next stage fetches the image whole.
 */
import { isBelow } from './authorization.ts';

export type CheckedFetch = typeof globalThis.fetch;

/** `fetch` that fails for a byte range below `root` which is not what was asked for. */
export function withCheckedRanges(fetch: CheckedFetch, root: string): CheckedFetch {
  /** The entity tag of each body of which the beginning has come. */
  const begun = new Map<string, string | null>();

  return async (input, init) => {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request?.url ?? String(input), root).href;
    const range = new Headers(init?.headers ?? request?.headers).get('Range');
    const response = await fetch(input, init);
    if (range === null || !isBelow(url, root)) return response;

    const wanted = Number(/^bytes=(\d+)-\d*$/.exec(range)?.[1]);
    if (response.status === 200 && wanted === 0) return response;
    if (response.status !== 206) throw new TypeError(`${range} was answered with status ${response.status}`);
    const came = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
    if (!came || Number(came[1]) !== wanted) throw new TypeError(`${range} was answered with ${came?.[0] ?? 'no range'}`);

    const tag = response.headers.get('ETag');
    if (wanted > 0 && begun.has(url) && begun.get(url) !== tag) {
      throw new TypeError('the image has changed on the server while it was loaded');
    }
    begun.set(url, tag);
    if (Number(came[2]) + 1 === Number(came[3])) begun.delete(url);
    return response;
  };
}
