/** The decoder in the thread that fetches. Its memory never shrinks: a module that holds much is let go when nothing is open. */
import { loadCodec, type Codec, type HtFrame, type HtImage } from '@firstlight/htj2k';
import type { Decoders } from '../frame-stream.ts';

const RECYCLE_AT = 96 << 20;

export function inlineDecoders(wasm: string | undefined): Decoders {
  const bytes = wasm === undefined ? undefined : fetch(wasm).then(answer => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(`the decoder could not be fetched: ${answer.status}`))));
  const load = async () => loadCodec(bytes ? { wasm: await bytes } : {});
  let codec = load();
  codec.catch(() => undefined);
  let open = 0;
  const recycle = (loaded: Codec) => {
    if (open > 0 || loaded.heldBytes < RECYCLE_AT) return;
    codec = load();
  };
  return {
    open(length) {
      open++;
      const waiting: Uint8Array[] = [];
      let held: { codec: Codec; frame: HtFrame } | undefined;
      let closed = false;
      return {
        push: chunk => void waiting.push(chunk),
        async decode(level): Promise<HtImage> {
          const loaded = await codec;
          if (closed) throw new Error('this frame is closed');
          held ??= { codec: loaded, frame: loaded.open(length) };
          for (const chunk of waiting.splice(0)) held.frame.push(chunk);
          const image = held.frame.decode(level);
          return { ...image, samples: image.samples.slice() };
        },
        close() {
          if (closed) return;
          closed = true;
          open--;
          held?.frame.close();
          if (held) recycle(held.codec);
        },
      };
    },
  };
}
