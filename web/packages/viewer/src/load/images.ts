/** Decoded images, bounded in bytes: the loader's own cache. */
export { LevelCache as ImageCache, UNWANTED, type Held, type Want } from '@firstlight/loader';
