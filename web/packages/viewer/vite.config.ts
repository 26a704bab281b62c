/** The light page, into web/dist/light: one page, one script, one worker, one module, all under its own path. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { SOURCES } from '../sources.ts';
import { decoder, early, shell } from './shell.ts';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const BASE = '/light/';

/** A name that says what is in the file: it may be kept for ever. */
const NAMES = { hashCharacters: 'hex' as const, entryFileNames: 'assets/[name]-[hash:16].js', chunkFileNames: 'assets/[name]-[hash:16].js', assetFileNames: 'assets/[name]-[hash:16][extname]' };

export default defineConfig({
  root: source('src'),
  base: BASE,
  build: { outDir: source('../../dist/light'), emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, rollupOptions: { output: NAMES } },
  worker: { format: 'es', rollupOptions: { output: NAMES } },
  plugins: [decoder(BASE), early(BASE), shell(BASE)],
  resolve: { alias: SOURCES },
});
