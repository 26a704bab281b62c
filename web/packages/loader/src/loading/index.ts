/** Loading away from the page, for any viewer: what it and its loading worker say to each other, and both ends of the channel. */
export { FrameLoader, type DecodeWhole, type FrameLoaderOptions } from './frame-loader.ts';
export type { FromLoader, Job, LineState, LoaderPort, Start, ToLoader } from './messages.ts';
export type { Picture, Shape } from './picture.ts';
export { localPort, workerPort } from './port.ts';
export { serve, type WorkerScope } from './serve.ts';
