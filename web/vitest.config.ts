import { defineConfig } from 'vitest/config';
import { SOURCES } from './packages/sources.ts';

// Some tests try many thousands of cases: the time limit is for a machine that does other work beside them.
export default defineConfig({ resolve: { alias: SOURCES }, test: { include: ['packages/**/*.test.ts'], exclude: ['**/node_modules/**'], testTimeout: 60_000 } });
