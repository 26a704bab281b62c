// Decodes a file as if it arrived in pieces: node progressive.mjs FILE.j2c
import { readFile } from 'node:fs/promises';
import { loadCodec } from '@firstlight/htj2k';

const bytes = await readFile(process.argv[2]);
const codec = await loadCodec();
const frame = codec.open(bytes.length);
let shown;
for (let at = 0; at < bytes.length; at += 4096) {
  frame.push(bytes.subarray(at, at + 4096));
  const level = frame.level();
  if (level === shown) continue;
  shown = level;
  const { width, height, complete } = frame.decode(level);
  console.log(`level ${level}: ${width} x ${height} after ${frame.have} bytes, ${complete ? 'complete' : 'cut'}`);
}
frame.close();
