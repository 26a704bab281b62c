import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['{cornerstone,ohif}/**/*.test.ts'] } });
