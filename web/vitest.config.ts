import { defineConfig } from 'vitest/config';

// Some tests try many thousands of cases: the time limit is for a machine that does other work beside them.
export default defineConfig({ test: { include: ['{cornerstone,ohif}/**/*.test.ts'], testTimeout: 60_000 } });
