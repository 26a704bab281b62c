#!/usr/bin/env node
/**
 * A TCP proxy that makes one slow line out of the loopback.
 *
 *     node tests/shaping-proxy.mjs --to 127.0.0.1:8042 [--listen 0] [--mbit 30] [--delay 10]
 *
 * All connections together get `mbit` Mbit/s from the server to the client; the line is shared by turns of one packet, as
 * a router's fair queue does. Each packet arrives `delay` ms after it left, which is the line's round trip: the way up
 * is not slowed, since requests are small.
 */
import net from 'node:net';
import { fileURLToPath } from 'node:url';

const PACKET = 1448;
/** What a connection may have waiting on the line before its server is told to pause. */
const QUEUE_LIMIT = 64 * 1024;

export class ShapingProxy {
  /**
   * Every request of a frame, or of what the server renders of one: its path, the range that was asked for, when it was asked, and how many of its bytes
   * had left when, `[ms since the epoch, bytes]`.
   */
  frames = [];
  #line;
  #server;
  #drops = new Set();
  #gone = false;
  /** Paths of frames, in the order in which they were asked for since the line was told to hold some. */
  #asked = new Set();

  constructor({ host = '127.0.0.1', port, mbit = 30, delay = 10 }) {
    this.#line = new Line(mbit, delay);
    this.#server = net.createServer({ noDelay: true }, client => {
      if (this.#gone) return client.destroy();
      const upstream = net.connect({ host, port, noDelay: true });
      const lane = this.#line.lane(client, upstream);
      client.on('data', bytes => {
        this.#see(bytes, lane);
        upstream.write(bytes) || client.pause();
      });
      upstream.on('drain', () => client.resume());
      client.on('end', () => upstream.end());
      upstream.on('data', bytes => lane.push(bytes));
      upstream.on('end', () => lane.end());
      const drop = () => {
        this.#drops.delete(drop);
        lane.close();
        client.destroy();
        upstream.destroy();
      };
      this.#drops.add(drop);
      client.on('error', drop).on('close', drop);
      upstream.on('error', drop);
    });
  }

  /** HTTP/1.1 has one answer at a time on a connection: from a request on its bytes are that request's. */
  #see(bytes, lane) {
    const head = bytes.toString('latin1', 0, 4000);
    const path = /^GET (\S+) HTTP/.exec(head)?.[1];
    if (!path) return;
    lane.frame = undefined;
    if (!/\/frames\/\d+(\/rendered(\?\S*)?)?$/.test(path)) return;
    const range = /^range: bytes=(\S+)/im.exec(head)?.[1];
    // Pictures that the server renders have no levels to stop behind.
    const levels = !path.includes('/rendered');
    if (levels) this.#asked.add(path);
    const turn = [...this.#asked].indexOf(path);
    lane.frame = { path, range, levels, turn, from: parseInt(range ?? '0', 10), at: performance.timeOrigin + performance.now(), sent: 0, log: [] };
    this.frames.push(lane.frame);
  }

  /** Bytes that have crossed the line towards the client. */
  get bytes() {
    return this.#line.bytes;
  }

  /** From now on the line is this fast, and so long. */
  shape(mbit, delay) {
    this.#line.shape(mbit, delay);
  }

  /** Bytes that had crossed the line by a time, in ms since the epoch. */
  until(at) {
    return this.#line.until(at);
  }

  /** Stops the line: what is on it waits. */
  hold() {
    this.#line.held = true;
  }

  /**
   * Of each frame so many bytes cross the line, and the rest waits: what lies behind them cannot have been shown. With `most` it is only the first so
   * many frames asked for from now on of which anything comes. All else goes on.
   */
  holdAfter(bytes, most = Infinity) {
    this.#asked.clear();
    [this.#line.limit, this.#line.most] = [bytes, most];
    this.#line.held = false;
  }

  /** Whether a frame waits for that reason. */
  get waits() {
    return this.#line.waits;
  }

  /** Breaks every connection that there is. */
  cut() {
    for (const drop of [...this.#drops]) drop();
  }

  /** Lets the line go on. */
  release() {
    this.holdAfter(Infinity);
  }

  /** The server is gone: every connection is lost, and no new one is made. */
  leave() {
    this.#gone = true;
    for (const drop of [...this.#drops]) drop();
  }

  /** The server is there again. */
  comeBack() {
    this.#gone = false;
  }

  listen(port = 0) {
    return new Promise((resolve, reject) => {
      this.#server.on('error', reject);
      this.#server.listen(port, '127.0.0.1', () => resolve(this.#server.address().port));
    });
  }

  close() {
    this.#line.stop();
    this.#server.close();
  }
}

/** The shared line: a clock that says when the next packet may leave, and the lanes that want to send. */
class Line {
  bytes = 0;
  held = false;
  /** Bytes that cross of a frame, its head among them. */
  limit = Infinity;
  /** Frames of which anything crosses. */
  most = Infinity;
  #bytesPerMs;
  #delay;
  #lanes = [];
  #free = 0;
  #timer = null;
  /** What had crossed when, `[ms since the epoch, bytes]`. */
  #log = [[0, 0]];

  constructor(mbit, delay) {
    this.shape(mbit, delay);
  }

  shape(mbit, delay) {
    this.#bytesPerMs = (mbit * 1e6) / 8 / 1000;
    this.#delay = delay;
  }

  until(at) {
    let low = 0;
    for (let high = this.#log.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.#log[middle][0] <= at) low = middle;
      else high = middle;
    }
    return this.#log[low][1];
  }

  lane(client, upstream) {
    /** What has left and not arrived: in order, also when the delay became shorter meanwhile. */
    const flying = [];
    const deliver = action => {
      flying.push({ action, due: performance.now() + this.#delay });
      setTimeout(() => {
        while (flying.length > 0 && flying[0].due <= performance.now() + 1) flying.shift().action();
      }, this.#delay);
    };
    const lane = {
      queue: [],
      waiting: 0,
      ended: false,
      push: bytes => {
        for (let at = 0; at < bytes.length; at += PACKET) lane.queue.push(bytes.subarray(at, at + PACKET));
        lane.waiting += bytes.length;
        if (lane.waiting > QUEUE_LIMIT) upstream.pause();
        this.#wake();
      },
      end: () => {
        lane.ended = true;
        if (lane.queue.length === 0) deliver(() => client.end());
      },
      close: () => {
        lane.queue.length = 0;
        this.#lanes = this.#lanes.filter(other => other !== lane);
      },
      send: packet => {
        const { frame } = lane;
        if (frame) frame.log.push([performance.timeOrigin + performance.now(), (frame.sent += packet.length)]);
        lane.waiting -= packet.length;
        if (lane.waiting < QUEUE_LIMIT / 2) upstream.resume();
        deliver(() => client.writable && client.write(packet));
        if (lane.ended && lane.queue.length === 0) deliver(() => client.end());
      },
    };
    this.#lanes.push(lane);
    return lane;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#lanes = [];
  }

  #wake() {
    if (this.#timer === null) this.#timer = setTimeout(() => this.#turn(), 1);
  }

  /** A line of the log for each millisecond is enough. */
  #note() {
    const at = performance.timeOrigin + performance.now();
    const last = this.#log.at(-1);
    if (at - last[0] < 1) last[1] = this.bytes;
    else this.#log.push([at, this.bytes]);
  }

  /** Sends what the time since the last turn allows, one packet of each lane after the other. */
  #turn() {
    this.#timer = null;
    const now = performance.now();
    this.#free = Math.max(this.#free, now - 5);
    while (!this.held && this.#free <= now) {
      const lane = this.#lanes.find(each => each.queue.length > 0 && !this.#isBeyond(each));
      if (!lane) break;
      this.#lanes = [...this.#lanes.filter(other => other !== lane), lane];
      const packet = lane.queue.shift();
      this.#free += packet.length / this.#bytesPerMs;
      this.bytes += packet.length;
      lane.send(packet);
      this.#note();
    }
    if (this.#lanes.some(each => each.queue.length > 0)) this.#wake();
  }

  #isBeyond({ frame, queue: [packet] }) {
    return frame?.levels === true && (frame.turn >= this.most || frame.from + frame.sent + packet.length > this.limit);
  }

  get waits() {
    return this.#lanes.some(each => each.queue.length > 0 && this.#isBeyond(each));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : process.argv[at + 1];
  };
  const [host, port] = option('to', '127.0.0.1:8042').split(':');
  const mbit = Number(option('mbit', 30));
  const delay = Number(option('delay', 10));
  const proxy = new ShapingProxy({ host, port: Number(port), mbit, delay });
  const listening = await proxy.listen(Number(option('listen', 0)));
  console.log(`http://127.0.0.1:${listening} -> ${host}:${port} at ${mbit} Mbit/s, ${delay} ms`);
}
