/** The first question, asked while the page's own script is still on its way (study/archive.ts takes the answer), and after it the decoder, for the cache. */
{
  const query = new URLSearchParams(location.search);
  const [study, series] = [query.get('study') ?? '', query.get('series')];
  if (/^[\d.]{1,128}$/.test(study)) {
    const here = /^\/s\/[\w-]+/.exec(location.pathname)?.[0] ?? '';
    const path = `${here}/dicom-web/studies/${encodeURIComponent(study)}/first${series ? `?series=${encodeURIComponent(series)}` : ''}`;
    const answer = fetch(path, { headers: { Accept: 'application/dicom+json, application/json' } });
    answer.catch(() => undefined);
    globalThis.firstlightAsked = { path, answer };
    fetch('__DECODER__').then(response => response.arrayBuffer()).catch(() => undefined);
  }
}
