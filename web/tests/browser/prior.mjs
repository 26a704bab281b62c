/** An earlier study of the same patient, made from a series: every third slice, under UIDs and a date of its own. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const EARLIER = '19980203';

/** Writes it into `folder`, and gives the number of its images. Explicit VR Little Endian, or encapsulated: tags stand in clear. */
export async function makePrior(source, folder) {
  await mkdir(folder, { recursive: true });
  const files = (await readdir(source)).sort();
  let count = 0;
  const slices = [];
  for (const name of files) {
    const bytes = await readFile(join(source, name));
    slices.push({ name, bytes, place: Number(value(bytes, 0x0020, 0x0032, 'DS').split('\\')[2]) });
  }
  slices.sort((a, b) => a.place - b.place);
  for (let n = 0; n < slices.length; n += 3) {
    const { name, bytes } = slices[n];
    for (const [group, element] of [[0x0002, 0x0003], [0x0008, 0x0018], [0x0020, 0x000d], [0x0020, 0x000e]]) rename(bytes, group, element);
    const date = find(bytes, 0x0008, 0x0020, 'DA');
    bytes.write(EARLIER, date.at, 'latin1');
    await writeFile(join(folder, name), bytes);
    count++;
  }
  return count;
}

/** Another UID of the same length: the first digit of its last component is another one. */
function rename(bytes, group, element) {
  const { at, length } = find(bytes, group, element, 'UI');
  const uid = bytes.toString('latin1', at, at + length);
  const last = uid.lastIndexOf('.') + 1;
  bytes.write(String((Number(uid[last]) % 9) + 1), at + last, 'latin1');
}

const value = (bytes, group, element, vr) => {
  const { at, length } = find(bytes, group, element, vr);
  return bytes.toString('latin1', at, at + length);
};

/** An element with a short length, by its tag and VR. */
function find(bytes, group, element, vr) {
  const tag = Buffer.from([group & 255, group >> 8, element & 255, element >> 8, vr.charCodeAt(0), vr.charCodeAt(1)]);
  const found = bytes.indexOf(tag);
  if (found < 0) throw new Error(`no (${group.toString(16)},${element.toString(16)}) ${vr}`);
  return { at: found + 8, length: bytes.readUInt16LE(found + 6) };
}
