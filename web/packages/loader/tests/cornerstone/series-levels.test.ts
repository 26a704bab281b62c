import { describe, expect, it } from 'vitest';
import { parseImageId } from '../../src/cornerstone/address.ts';
import { LevelsStore, parseLevels } from '../../src/cornerstone/series-levels.ts';

const IMAGE = 'wadors:http://host/dicom-web/studies/1.2/series/3.4/instances/5.6/frames/2';
const DOCUMENT = {
  instances: {
    '5.6': {
      transferSyntax: '1.2.840.10008.1.2.4.202',
      bodyOffset: 123,
      frames: [
        { length: 900, ends: [10, 90, 900] },
        { length: 800, ends: [8, 80, 800], crc32: [1, 2, 3] },
      ],
    },
  },
};

const answer = (body: unknown, ok = true) => Promise.resolve({ ok, json: () => Promise.resolve(body) });

describe('the address of a frame', () => {
  it('is read from an image id', () => {
    const address = { root: 'http://host/dicom-web', study: '1.2', series: '3.4', instance: '5.6', frame: 2 };
    expect(parseImageId(IMAGE)).toEqual(address);
    expect(parseImageId(`${IMAGE}?accept=image/jphc`)).toEqual(address);
    expect(parseImageId('dicomfile:0')).toBeNull();
    expect(parseImageId('wadors:http://host/studies/1/series/2/instances/3/rendered')).toBeNull();
  });
});

describe('the levels document', () => {
  it('gives each frame its facts', () => {
    expect(parseLevels(DOCUMENT).get('5.6')).toEqual([
      { transferSyntax: '1.2.840.10008.1.2.4.202', bodyOffset: 123, length: 900, ends: [10, 90, 900] },
      { transferSyntax: '1.2.840.10008.1.2.4.202', bodyOffset: 123, length: 800, ends: [8, 80, 800] },
    ]);
  });

  it.each([
    ['not rising', { length: 900, ends: [90, 10, 900] }],
    ['not ending at the length', { length: 900, ends: [10, 90] }],
    ['negative', { length: 900, ends: [-10, 900] }],
    ['not numbers', { length: 900, ends: ['10', 900] }],
    ['missing', { length: 900 }],
    ['no frame', null],
  ])('has no levels where the ends are %s', (_, frame) => {
    const document = { instances: { '5.6': { ...DOCUMENT.instances['5.6'], frames: [frame] } } };
    expect(parseLevels(document).get('5.6')![0]!.ends).toEqual([]);
  });

  it('may be anything', () => {
    for (const document of [null, 1, [], {}, { instances: 3 }, { instances: { '5.6': {} } }]) {
      expect(parseLevels(document).size).toBe(0);
    }
  });
});

describe('the store of levels', () => {
  it('fetches a series once, at the address of the images', async () => {
    const asked: string[] = [];
    const store = new LevelsStore(url => (asked.push(url), answer(DOCUMENT)));
    expect(store.frame(IMAGE)).toBeNull();
    await Promise.all([store.openFor([IMAGE, IMAGE.replace('5.6', '5.7')]), store.openFor([IMAGE])]);
    await store.openFor([IMAGE]);
    expect(asked).toEqual(['http://host/dicom-web/studies/1.2/series/3.4/levels']);
    expect(store.frame(IMAGE)?.length).toBe(800);
    expect(store.frame(IMAGE.replace('frames/2', 'frames/3'))).toBeNull();
    expect(store.frame(IMAGE.replace('5.6', '5.7'))).toBeNull();
  });

  it('asks nothing for images of other loaders', async () => {
    const store = new LevelsStore(() => Promise.reject(new Error('asked')));
    await store.openFor(['dicomfile:0']);
    expect(store.frame('dicomfile:0')).toBeNull();
  });

  it('takes a server without levels as an answer, and asks again after a failure', async () => {
    let asked = 0;
    const without = new LevelsStore(() => (asked++, answer(null, false)));
    await without.openFor([IMAGE]);
    await without.openFor([IMAGE]);
    expect([asked, without.frame(IMAGE)]).toEqual([1, null]);

    const failing = new LevelsStore(() => (asked++ < 2 ? Promise.reject(new Error('network')) : answer(DOCUMENT)));
    await failing.openFor([IMAGE]);
    expect(failing.frame(IMAGE)).toBeNull();
    await failing.openFor([IMAGE]);
    expect(failing.frame(IMAGE)?.ends).toHaveLength(3);
  });
});
