/** The packages of this workspace by their sources: what builds and tests here needs nothing built before. */
import { fileURLToPath } from 'node:url';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The longer name first: each is taken as the beginning of a name. */
export const SOURCES = {
  '@firstlight/htj2k/pool': source('htj2k/src/pool.ts'),
  '@firstlight/htj2k': source('htj2k/src/index.ts'),
  '@firstlight/loader/cornerstone': source('loader/src/cornerstone/index.ts'),
  '@firstlight/loader/loading': source('loader/src/loading/index.ts'),
  '@firstlight/loader': source('loader/src/index.ts'),
};
