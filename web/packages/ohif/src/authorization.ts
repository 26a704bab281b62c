/**
 * `Authorization` on requests that the client makes by `fetch` without asking for headers: byte ranges, above all.
 *
 * Only requests below our DICOMweb root get the header; every other request passes untouched.
 */

export type AuthorizationHeader = () => string | null | undefined;

/** Whether `url` lies below `root` (both absolute): same origin, and the path begins with all of the root's segments. */
export function isBelow(url: string, root: string): boolean {
  const target = new URL(url);
  const base = new URL(root);
  const path = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
  return target.origin === base.origin && target.pathname.startsWith(path);
}

/** `fetch` with the header that `authorization` gives, for requests below `root` that carry none. */
export function withAuthorization(fetch: typeof globalThis.fetch, root: string, authorization: AuthorizationHeader): typeof globalThis.fetch {
  return (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input), root).href;
    const value = isBelow(url, root) ? authorization() : null;
    if (!value) return fetch(input, init);
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    if (!headers.has('Authorization')) headers.set('Authorization', value);
    return fetch(input, { ...init, headers });
  };
}
