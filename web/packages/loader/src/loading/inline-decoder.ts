/** The decoder in the thread that fetches. Its memory never shrinks: a module that holds much is let go when nothing is open. */
import { loadCodec, type Codec, type HtFrame, type HtImage } from '@firstlight/htj2k';
import type { Decoders } from '../frame-stream.ts';

export function inlineDecoders(wasm: string | undefined, recycleAt = 96 << 20): Decoders {
  const fetched = () => fetch(wasm!).then(answer => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(`the decoder could not be fetched: ${answer.status}`))));
  let bytes: Promise<ArrayBuffer> | undefined;
  let codec: Promise<Codec> | undefined;
  let held = 0;
  /** What could not be had is asked for again by the next frame. */
  const load = (): Promise<Codec> => {
    codec ??= (async () => loadCodec(wasm === undefined ? {} : { wasm: await (bytes ??= fetched()) }))().catch((error: unknown) => {
      bytes = codec = undefined;
      throw error;
    });
    return codec;
  };
  load().catch(() => undefined);
  let open = 0;
  const recycle = (loaded: Codec) => {
    if (open > 0 || loaded.heldBytes < recycleAt) return;
    codec = undefined;
    load().catch(() => undefined);
  };
  return {
    get heldBytes() {
      return held;
    },
    async openSparse(length) {
      open++;
      try {
        const loaded = await load();
        const frame = loaded.open(length);
        const close = () => {
          frame.close();
          open--;
          recycle(loaded);
        };
        return { push: bytes => frame.push(bytes), put: (offset, bytes) => frame.put(offset, bytes), ranges: (region, options) => frame.ranges(region, options), decodeRegion: (region, options) => frame.decodeRegion(region, options), close };
      } catch (error) {
        open--;
        throw error;
      }
    },
    open(length) {
      open++;
      const waiting: Uint8Array[] = [];
      let own: { codec: Codec; frame: HtFrame } | undefined;
      let closed = false;
      return {
        push: chunk => void waiting.push(chunk),
        async decode(level): Promise<HtImage> {
          const loaded = own?.codec ?? (await load());
          if (closed) throw new Error('this frame is closed');
          own ??= { codec: loaded, frame: loaded.open(length) };
          for (const chunk of waiting.splice(0)) own.frame.push(chunk);
          const image = own.frame.decode(level);
          held = own.codec.heldBytes;
          return { ...image, samples: image.samples.slice() };
        },
        close() {
          if (closed) return;
          closed = true;
          open--;
          own?.frame.close();
          if (own) recycle(own.codec);
        },
      };
    },
  };
}
