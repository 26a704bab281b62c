/**
 * HTJ2K codestreams (ITU-T T.814) decoded in WebAssembly.
 *
 *     const codec = await loadCodec();
 *     const frame = codec.open(length);          // bytes of the whole codestream
 *     frame.push(bytes);                         // as they arrive
 *     const image = frame.decode(frame.level()); // the finest level that is all there
 *     frame.close();
 *
 * Level 0 is the full image; level n is 1/2^n of it on each side. Nothing here touches a thread: `./pool` has the workers.
 */
export { loadCodec, simdIsThere, type Codec, type LoadOptions } from './codec.ts';
export { HtFrame, type ByteRange, type Detail, type HtHeader, type HtImage, type Region, type RegionOptions, type RegionRanges, type Samples } from './frame.ts';
