import { describe, expect, it } from 'vitest';
import { Frames, type LoaderPort } from '@firstlight/loader/cornerstone';
import { FirstAnswers } from '../src/first-document.ts';
import { FirstImage } from '../src/first-image.ts';
import { studyOf } from '../src/routes.ts';

const ROOT = 'http://here/dicom-web';
const IMAGE = `wadors:${ROOT}/studies/1.2/series/1.3/instances/1.4/frames/1`;
const FIRST = {
  first: {
    series: '1.3',
    instance: '1.4',
    frame: 1,
    metadata: { '00280004': { Value: ['MONOCHROME2'] }, '00280010': { Value: [512] }, '00280011': { Value: [512] }, '00280101': { Value: [12] }, '00281052': { Value: [-1024] }, '00281053': { Value: [1] } },
    levels: { transferSyntax: '1.2.840.10008.1.2.4.202', frames: [{ ends: [500, 1600, 5000, 17000, 61000, 215000] }] },
  },
};

function start(answer: (url: string) => Response) {
  Object.assign(globalThis, { devicePixelRatio: 1, innerWidth: 1400, innerHeight: 900 });
  const sent: Parameters<LoaderPort['post']>[0][] = [];
  const loader: LoaderPort = { post: message => sent.push(message), onMessage: () => undefined, close: () => undefined };
  const frames = new Frames({ loader });
  const asked: string[] = [];
  const fetching = async (url: unknown) => {
    asked.push(String(url));
    return answer(String(url));
  };
  const answers = new FirstAnswers();
  const first = new FirstImage(frames, ROOT, { ask: (root, study) => answers.ask(root, study, fetching as typeof fetch), forget: () => answers.forget() });
  const jobs = async () => {
    await new Promise(later => setTimeout(later, 0));
    const last = sent.findLast(message => message.type === 'want');
    return last?.type === 'want' ? last.jobs : [];
  };
  const picture = (level: number) => {
    const values = new Int16Array(1);
    const line = { throughput: undefined, delay: undefined, bytes: 0 };
    loader.onMessage({ type: 'picture', frame: IMAGE, picture: { level, width: 1, height: 1, components: 1, values, min: 0, max: 0, bytes: 2 }, levels: undefined, line });
  };
  return { first, asked, jobs, picture };
}

describe('the first image of a study', () => {
  it('is asked for by its first document, with what is made of it', async () => {
    const { first, asked, jobs } = start(() => Response.json(FIRST));
    await first.open('1.2');
    expect(asked).toEqual([`${ROOT}/studies/1.2/first`]);
    const [job] = await jobs();
    expect(job).toMatchObject({ frame: IMAGE, level: 0, shape: { slope: 1, intercept: -1024, bits: 12 }, levels: { width: 512, ends: FIRST.first.levels.frames[0]!.ends } });
  });

  it('comes to a useful level while the user still chooses, and whole when he opens it; the document is asked for once', async () => {
    const { first, asked, jobs } = start(() => Response.json(FIRST));
    await first.warm('1.2');
    expect((await jobs())[0]!.level).toBe(0);
    first.end();
    expect(await jobs()).toEqual([]);
    await first.open('1.2');
    expect((await jobs())[0]!.level).toBe(0);
    expect(asked).toHaveLength(1);
  });

  it('is shown as it comes, until a viewport takes over', async () => {
    const { first, picture } = start(() => Response.json(FIRST));
    const shown: number[] = [];
    first.onFirst = (document, { level }) => shown.push(document.first!.frame * 100 + level);
    await first.open('1.2');
    picture(1);
    first.end();
    picture(0);
    expect(shown).toEqual([101]);
  });

  it('is not asked for where a reduced image of it means nothing', async () => {
    const { first, jobs } = start(() => Response.json({ first: { ...FIRST.first, metadata: { ...FIRST.first.metadata, '00280004': { Value: ['PALETTE COLOR'] } } } }));
    await first.open('1.2');
    expect(await jobs()).toEqual([]);
  });

  it('has no reduced image where a mean would mix padding with the picture', async () => {
    const { first, jobs } = start(() => Response.json({ first: { ...FIRST.first, metadata: { ...FIRST.first.metadata, '00280120': { Value: [0] } } } }));
    await first.open('1.2');
    expect(await jobs()).toEqual([]);
  });

  it('takes a server that does not know it as an answer, once', async () => {
    const { first, asked, jobs } = start(() => new Response('', { status: 404 }));
    await first.open('1.2');
    await first.open('1.5');
    expect(asked).toHaveLength(1);
    expect(await jobs()).toEqual([]);
  });

  it('is not asked for where it is not stored by levels, or where there is none', async () => {
    const { first, jobs } = start(url => Response.json(url.includes('/1.2/') ? { first: null } : { first: { ...FIRST.first, levels: { transferSyntax: '1.2.840.10008.1.2.4.80' } } }));
    await first.open('1.2');
    expect(await jobs()).toEqual([]);
    await first.open('1.6');
    expect(await jobs()).toEqual([]);
  });
});

it('knows which study a viewer is opened for', () => {
  const of = (path: string) => studyOf(new URL(path, 'http://here') as unknown as Location);
  expect(of('/viewer/viewer?StudyInstanceUIDs=1.2.3')).toBe('1.2.3');
  expect(of('/viewer/viewer?StudyInstanceUIDs=1.2.3&hangingprotocolId=mpr')).toBeUndefined();
  expect(of('/viewer/viewer?StudyInstanceUIDs=1.2.3,1.2.4')).toBeUndefined();
  expect(of('/viewer/?StudyInstanceUIDs=1.2.3')).toBeUndefined();
  expect(of('/viewer/')).toBeUndefined();
});
