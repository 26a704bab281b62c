/** Small DICOM files that the corpus does not hold, written in Explicit VR Little Endian (PS3.10 7.1, PS3.5 7.1.2). */
import { writeFile } from 'node:fs/promises';

const ROOT = '2.25.4716';
const LONG = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);

function element(group, number, vr, value) {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1');
  const padded = bytes.length % 2 ? Buffer.concat([bytes, Buffer.from([vr === 'UI' || vr === 'OB' ? 0 : 32])]) : bytes;
  const head = Buffer.alloc(LONG.has(vr) ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (LONG.has(vr)) head.writeUInt32LE(padded.length, 8);
  else head.writeUInt16LE(padded.length, 6);
  return Buffer.concat([head, padded]);
}

const us = value => Buffer.from([value & 255, value >> 8]);

function file(sopClass, instance, elements) {
  const meta = Buffer.concat([element(2, 1, 'OB', Buffer.from([0, 1])), element(2, 2, 'UI', sopClass), element(2, 3, 'UI', instance), element(2, 0x10, 'UI', '1.2.840.10008.1.2.1')]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(meta.length);
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), element(2, 0, 'UL', length), meta, ...elements.sort((a, b) => order(a) - order(b))]);
}

const order = bytes => bytes.readUInt16LE(0) * 65536 + bytes.readUInt16LE(2);

const patient = (modality, number) => [
  element(0x10, 0x10, 'PN', 'Made^For a test'),
  element(0x10, 0x20, 'LO', 'MADE'),
  element(0x20, 0xd, 'UI', `${ROOT}.${number}`),
  element(0x20, 0xe, 'UI', `${ROOT}.${number}.1`),
  element(8, 0x18, 'UI', `${ROOT}.${number}.1.1`),
  element(8, 0x60, 'CS', modality),
];

/** A page with one sentence on it. */
const PDF = `%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<<>>>> endobj
4 0 obj <</Length 20>> stream
10 10 180 80 re S    
endstream endobj
trailer <</Root 1 0 R>>
%%EOF
`;

/** An encapsulated PDF (PS3.3 A.45.1) with so many bytes of comment. Gives its study. */
export async function makeDocument(path, number, comment) {
  const sopClass = '1.2.840.10008.5.1.4.1.1.104.1';
  const pdf = Buffer.from(`${PDF}${`%${' '.repeat(78)}\n`.repeat(Math.ceil(comment / 80))}`);
  const elements = [...patient('DOC', number), element(8, 0x16, 'UI', sopClass), element(0x42, 0x10, 'ST', 'Letter'), element(0x42, 0x11, 'OB', pdf), element(0x42, 0x12, 'LO', 'application/pdf')];
  await writeFile(path, file(sopClass, `${ROOT}.${number}.1.1`, elements));
  return `${ROOT}.${number}`;
}

/** A slope of 64 x 64 in each channel of which it is known that it was compressed with loss, 12 : 1. Gives its study. */
export async function makeLossy(path) {
  const sopClass = '1.2.840.10008.5.1.4.1.1.7';
  const pixels = Buffer.alloc(64 * 64 * 2);
  for (let n = 0; n < 64 * 64; n++) pixels.writeUInt16LE((n % 64) * 64, 2 * n);
  const elements = [
    ...patient('OT', 2),
    element(8, 0x16, 'UI', sopClass),
    element(0x28, 2, 'US', us(1)),
    element(0x28, 4, 'CS', 'MONOCHROME2'),
    element(0x28, 0x10, 'US', us(64)),
    element(0x28, 0x11, 'US', us(64)),
    element(0x28, 0x100, 'US', us(16)),
    element(0x28, 0x101, 'US', us(12)),
    element(0x28, 0x102, 'US', us(11)),
    element(0x28, 0x103, 'US', us(0)),
    element(0x28, 0x2110, 'CS', '01'),
    element(0x28, 0x2112, 'DS', '12'),
    element(0x7fe0, 0x10, 'OW', pixels),
  ];
  await writeFile(path, file(sopClass, `${ROOT}.2.1.1`, elements));
  return `${ROOT}.2`;
}
