#!/usr/bin/env node
/**
 * What a consultation costs: participants in one session, one of them drags its pointer 20 times a second.
 *
 *     node tests/consultation.mjs [--participants 20] [--seconds 10] [--delay 0]
 *
 * Prints the time from telling an event to hearing it (median, 95th percentile, worst) and the bytes of each participant's line, heads and
 * frames of HTTP included. `--delay` holds back what the server sends by so many ms, as a line would.
 */
import http from 'node:http';
import { createGunzip, constants } from 'node:zlib';
import { Archive } from './browser/archive.mjs';
import { ShapingProxy } from './shaping-proxy.mjs';

const UID = '1.3.6.1.4.1.9590.100.1.2.172427409513581073114900125610018943186';
const RATE = 20;
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const [count, seconds, delay] = [option('participants', 20), option('seconds', 10), option('delay', 0)];

const archive = await Archive.start([], 0);
const proxy = new ShapingProxy({ port: archive.port, mbit: 1000, delay });
const port = await proxy.listen();

function request(method, path, headers = {}, body = '') {
  return new Promise((answer, fail) => {
    const sent = http.request({ host: '127.0.0.1', port, method, path, headers: { ...headers, 'Content-Length': Buffer.byteLength(body) } }, answer);
    sent.on('error', fail).end(body);
  });
}

/** Joins, and hears. */
async function participant(path) {
  const agent = new http.Agent({ keepAlive: false });
  const response = await new Promise((answer, fail) => http.get({ host: '127.0.0.1', port, path, agent, headers: { 'Accept-Encoding': 'gzip' } }, answer).on('error', fail));
  const self = { heard: [], socket: response.socket, close: () => response.destroy() };
  let text = '';
  const hello = new Promise(found => {
    const plain = response.pipe(createGunzip({ flush: constants.Z_SYNC_FLUSH })).setEncoding('utf8');
    plain.on('error', () => undefined);
    plain.on('data', piece => {
      const now = performance.now();
      text += piece;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const [, name, data] = /event:(\w+)\ndata:(.*)/.exec(event) ?? [];
        if (name === 'hello') found(JSON.parse(data));
        if (name === 'pointer') self.heard.push({ x: JSON.parse(data).at[0], now });
      }
    });
  });
  return Object.assign(self, await hello);
}

const created = await request('POST', '/session');
let body = '';
for await (const piece of created.setEncoding('utf8')) body += piece;
const path = `/session/${JSON.parse(body).session}/events`;
const all = [];
for (let n = 0; n < count; n++) all.push(await participant(path));
await new Promise(later => setTimeout(later, 500));

const before = all.map(each => each.socket.bytesRead);
const told = new Map();
const begun = performance.now();
for (let n = 0; n < seconds * RATE; n++) {
  await new Promise(later => setTimeout(later, Math.max(0, begun + (n * 1000) / RATE - performance.now())));
  const x = Math.round((900 + 400 * Math.sin(n / 9)) * 100 + n / 7) / 100 + n * 10_000;
  told.set(x, performance.now());
  const data = { instance: UID, frame: 1, at: [x, Math.round(70_000 + 30_000 * Math.cos(n / 7)) / 100] };
  (await request('POST', path, { 'Session-Participant': all[0].key }, JSON.stringify({ event: 'pointer', data }))).resume();
}
await new Promise(later => setTimeout(later, 500 + 2 * delay));
const took = (performance.now() - begun - 500 - 2 * delay) / 1000;
const times = all.slice(1).flatMap(each => each.heard.map(({ x, now }) => now - told.get(x))).sort((a, b) => a - b);
const rates = all.map((each, n) => (each.socket.bytesRead - before[n]) / took).sort((a, b) => a - b);
const at = share => times[Math.min(times.length - 1, Math.floor(share * times.length))].toFixed(1);
console.log(`${count} participants, ${told.size} pointers at ${RATE} a second, line of ${delay} ms: ${times.length} of ${told.size * (count - 1)} heard`);
console.log(`heard after ${at(0.5)} ms (median), ${at(0.95)} ms (95 %), ${at(1)} ms (worst); ${rates.at(-1).toFixed(0)} bytes/s on the busiest line`);
for (const each of all) each.close();
proxy.close();
await archive.stop();
