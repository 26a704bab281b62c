/** A CT series whose frames come whole, as JPEG-LS: by the order of our loader, decoded by the stock one, every sample right. */
import { Archive } from './archive.mjs';
import { samplesOfStack } from './radiograph.mjs';
import { Viewer } from './viewer.mjs';
import { samplesOfVolume } from './volume.mjs';

const JPEG_LS = '1.2.840.10008.1.2.4.80';

export async function whole({ checks, browser, image }) {
  const archive = await Archive.startAs({ policy: 'default', syntax: JPEG_LS }, [image.path], image.slices);
  try {
    const [series] = await archive.series();
    const link = `/viewer/viewer?StudyInstanceUIDs=${series.study}`;
    const stack = await Viewer.open(browser, archive.url, link);
    await stack.until(`each => each.quality === 8`);
    const hash = await stack.page.evaluate(samplesOfStack);
    checks.that('the first slice has the pixels of the reference decoders', image.hashes.has(hash), hash);
    const asked = await stack.page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => /\/frames\/1$/.test(name)).map(({ initiatorType }) => initiatorType));
    checks.that('our loader asks for the frames', asked.length > 0 && asked.every(type => type === 'fetch'), asked.join(' '));
    await stack.close();

    const planes = await Viewer.open(browser, archive.url, `${link}&hangingprotocolId=mpr`);
    await planes.until(`each => each.frames && each.state === 'complete'`, 300_000);
    const slices = await planes.page.evaluate(samplesOfVolume);
    const right = slices.filter(slice => image.hashes.has(slice.hash)).length;
    checks.that('so has every slice of a volume', right === image.slices, `${right} of ${image.slices}`);
    checks.that('without an error', planes.troubles.length === 0, planes.troubles[0]);
    await planes.close();
  } finally {
    await archive.stop();
  }
}
