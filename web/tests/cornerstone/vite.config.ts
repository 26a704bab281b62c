/** The page with one version of Cornerstone3D: CORNERSTONE names its folder, OUT where the page is to lie. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { SOURCES } from '../../packages/sources.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const modules = join(here, process.env.CORNERSTONE ?? '', 'node_modules');

export default defineConfig({
  root: here,
  base: './',
  resolve: {
    alias: [
      ...['core', 'metadata', 'utils'].map(name => ({ find: `@cornerstonejs/${name}`, replacement: join(modules, '@cornerstonejs', name) })),
      // A module of Node that something below Cornerstone3D asks for.
      { find: 'events', replacement: join(modules, 'events', 'events.js') },
      ...Object.entries(SOURCES).map(([find, replacement]) => ({ find, replacement })),
    ],
  },
  worker: { format: 'es' },
  build: { outDir: process.env.OUT!, emptyOutDir: true, target: 'es2022', rollupOptions: { input: join(here, 'page.html') } },
});
