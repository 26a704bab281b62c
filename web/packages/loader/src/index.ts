/**
 * DICOMweb frames by whole resolution levels, for any viewer.
 *
 * `FrameStream` is one frame on its way; `Scheduler` says which come first; `LineMeter` knows the line; `LevelCache` bounds memory; `order`
 * and `levels` hold what follows from the view.
 */
export { LevelCache, UNWANTED, type Held, type Want } from './cache.ts';
export { levelsOfCodestream } from './codestream.ts';
export { FrameStream, type Begun, type Decoders, type FrameStreamOptions, type Pauses, type StreamState } from './frame-stream.ts';
export { coarsest, endOf, fittingLevel, levelIn, sideAt, usefulLevel, type FrameLevels, type Shown } from './levels.ts';
export { LineMeter, type LineReading } from './line.ts';
export { outwards, ScrollPredictor, volumeOrder, type Wanted } from './order.ts';
export { Scheduler, type SchedulerOptions, type Stream, type Wish } from './scheduler.ts';
export type { HtImage } from '@firstlight/htj2k';
