// The page that run.mjs drives: both codecs, and what they are asked.

import { load } from './loader.js';

const codec = await load(fetch('htj2k.wasm'));
const peer = await globalThis.Module({ locateFile: (name) => name });
const frame = codec.frame();
const peerDecoder = new peer.HTJ2KDecoder();

async function hash(samples) {
  const digest = await crypto.subtle.digest('SHA-256', samples.slice());
  return [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, '0')).join('');
}

const frames = new Map();
async function codestream(name) {
  if (!frames.has(name)) frames.set(name, new Uint8Array(await (await fetch(`${name}.j2c`)).arrayBuffer()));
  return frames.get(name);
}

function ours(bytes, level) {
  frame.begin(bytes.length);
  frame.push(bytes);
  return frame.decode(level);
}

function peers(bytes, level) {
  peerDecoder.getEncodedBuffer(bytes.length).set(bytes);
  if (level === 0) peerDecoder.decode();
  else peerDecoder.decodeSubResolution(level);
  return peerDecoder.getDecodedBuffer();
}

window.whole = async (name) => {
  const { width, height, samples } = ours(await codestream(name), 0);
  return { width, height, sha256: await hash(samples) };
};

/** The frame in pieces; whenever a level is there, the image of that level, ours and the peer's of the whole codestream. */
window.arriving = async (name) => {
  const bytes = await codestream(name);
  const levels = [];
  let last;
  frame.begin(bytes.length);
  const piece = Math.ceil(bytes.length / 64);
  for (let at = 0; at < bytes.length; at += piece) {
    frame.push(bytes.subarray(at, at + piece));
    const level = frame.level();
    if (level === undefined || level === levels.at(-1)?.level) continue;
    const image = frame.decode(level);
    const entry = { level, have: frame.have, complete: image.complete, ours: await hash(image.samples) };
    entry.peers = await hash(peers(bytes, level));
    levels.push(entry);
    last = entry.ours;
  }
  return { levels, last };
};

/** Some rows of the full image, from the levels before it and the ranges that are told; and the same rows of all bytes. */
window.rows = async (name, y, height) => {
  const bytes = await codestream(name);
  const { width, components, samples } = ours(bytes, 0);
  const expected = await hash(samples.subarray(y * width * components, (y + height) * width * components));
  const region = { x: 0, y, width, height };
  // The beginning, until the level before the last is there.
  frame.begin(bytes.length);
  let before = 0;
  while (!(frame.level() <= 1)) frame.push(bytes.subarray(before, (before += 500)));
  let [asked, fetched] = [0, 0];
  for (;;) {
    const wanted = frame.ranges(region);
    if (!wanted || asked++ > 20) return { told: false };
    const ranges = wanted.first ? [wanted.first] : wanted.ranges;
    if (ranges.length === 0) break;
    for (const [start, end] of ranges) {
      frame.put(start, bytes.subarray(start, end));
      fetched += end - start;
    }
  }
  const image = frame.decodeRegion(region);
  const same = image.complete && (await hash(image.samples)) === expected;
  return { told: true, same, asked, fetched, level: bytes.length - before };
};

/** Milliseconds of a decode, in interleaved rounds; small frames several times a round. */
window.time = async (name, rounds) => {
  const bytes = await codestream(name);
  const samples = ours(bytes, 0).samples.length;
  const repeat = Math.max(1, Math.round(2_000_000 / samples));
  const clock = (decode) => {
    const start = performance.now();
    for (let n = 0; n < repeat; n++) decode(bytes, 0);
    return (performance.now() - start) / repeat;
  };
  const times = { samples, ours: [], peers: [] };
  // Both are warm before they are timed.
  for (let round = -3; round < rounds; round++) {
    const pair = round % 2 ? [clock(ours), clock(peers)] : [clock(peers), clock(ours)].reverse();
    if (round >= 0) {
      times.ours.push(pair[0]);
      times.peers.push(pair[1]);
    }
  }
  return times;
};

window.peer = peer;
window.ready = true;
