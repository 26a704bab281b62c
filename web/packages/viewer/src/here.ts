/** Where this page is: at /light/, or at a link that shares studies (/s/TOKEN/), which is part of every address that it asks. */

/** What addresses begin with: nothing, or the link. */
export const HERE: string = /^\/s\/[\w-]+/.exec(globalThis.location?.pathname ?? '')?.[0] ?? '';

/** The address of the page itself. */
export const PAGE: string = HERE ? `${HERE}/` : '/light/';

/** What the link is called, and the one study it shares; nothing where the page is no link's. */
export function link(): { name: string; study: string | undefined } | undefined {
  const told = globalThis.document?.querySelector<HTMLMetaElement>('meta[name="firstlight-link"]');
  return told && HERE ? { name: told.content, study: told.dataset.study } : undefined;
}
