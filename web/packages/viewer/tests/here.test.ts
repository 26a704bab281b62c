import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

async function at(pathname: string) {
  vi.stubGlobal('location', { pathname });
  vi.resetModules();
  const [{ HERE, PAGE }, { studyPath }, { frameUrl }] = await Promise.all([import('../src/here.ts'), import('../src/study/archive.ts'), import('../src/load/stack.ts')]);
  return { HERE, PAGE, study: studyPath('1.2'), frame: frameUrl({ study: '1', series: '2', instance: '3', frame: 4 } as Parameters<typeof frameUrl>[0]) };
}

test('the page of a link asks by the link, and no other', async () => {
  expect(await at('/light/')).toEqual({ HERE: '', PAGE: '/light/', study: '/dicom-web/studies/1.2', frame: '/dicom-web/studies/1/series/2/instances/3/frames/4' });
  expect(await at('/s/a_B-9/')).toEqual({ HERE: '/s/a_B-9', PAGE: '/s/a_B-9/', study: '/s/a_B-9/dicom-web/studies/1.2', frame: '/s/a_B-9/dicom-web/studies/1/series/2/instances/3/frames/4' });
  expect((await at('/site/x/')).HERE).toBe('');
});
