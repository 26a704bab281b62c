/** The decoder in a worker: started by `./pool`, in browsers and in Node. */
import { loadCodec, type Codec } from './codec.ts';
import type { HtFrame } from './frame.ts';
import type { FromWorker, Port, ToWorker } from './messages.ts';

/** Answers what a page asks. `port` is the way back. */
export function serve(port: Port): (message: ToWorker) => Promise<void> {
  const frames = new Map<number, { frame: HtFrame; told: number | undefined }>();
  let codec: Promise<Codec> | undefined;
  const say = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

  return async message => {
    if (message.type === 'load') {
      const { wasm, maxMemory } = message;
      codec = loadCodec({ ...(wasm !== undefined && { wasm }), ...(maxMemory !== undefined && { maxMemory }) });
      codec.then(
        () => say({ type: 'ready' }),
        (error: unknown) => say({ type: 'failed', message: words(error) })
      );
      return;
    }
    let loaded: Codec;
    try {
      loaded = await codec!;
    } catch (error) {
      if (message.type === 'decode') say({ type: 'error', call: message.call, message: words(error) });
      return;
    }
    const held = 'frame' in message ? frames.get(message.frame) : undefined;
    switch (message.type) {
      case 'open':
        frames.set(message.frame, { frame: loaded.open(message.length), told: undefined });
        break;
      case 'push': {
        if (!held) break;
        held.frame.push(message.bytes);
        const level = held.frame.level();
        if (level !== undefined && level !== held.told) {
          held.told = level;
          say({ type: 'level', frame: message.frame, level, have: held.frame.have });
        }
        break;
      }
      case 'decode':
        try {
          if (!held) throw new Error('this frame is closed');
          const image = message.region ? held.frame.decodeRegion(message.region, { level: message.level }) : held.frame.decode(message.level);
          const samples = image.samples.slice();
          say({ type: 'image', call: message.call, image: { ...image, samples }, heldBytes: loaded.heldBytes }, [samples.buffer as ArrayBuffer]);
        } catch (error) {
          say({ type: 'error', call: message.call, message: words(error) });
        }
        break;
      case 'close':
        held?.frame.close();
        frames.delete(message.frame);
    }
  };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** In a browser's worker this file is the program. */
const scope = globalThis as { WorkerGlobalScope?: unknown; postMessage?: unknown } & Partial<Port> & { onmessage?: unknown };
if (typeof scope.WorkerGlobalScope !== 'undefined') {
  const answer = serve({ postMessage: (message, transfer) => (scope.postMessage as (m: unknown, t: ArrayBuffer[]) => void)(message, transfer) });
  scope.onmessage = (event: MessageEvent<ToWorker>) => void answer(event.data);
}
