/** Two bundles: the viewer's app-config (one classic script) and, with `--mode start`, the start page. */
import { defineConfig } from 'vite';

export default defineConfig(({ mode }) =>
  mode === 'start'
    ? {
        root: 'start',
        base: './',
        build: { outDir: '../dist', emptyOutDir: false, target: 'es2022', assetsDir: 'start' },
      }
    : {
        build: {
          outDir: 'dist/viewer',
          emptyOutDir: true,
          target: 'es2022',
          lib: { entry: 'ohif/app-config.ts', name: 'firstlight', formats: ['iife'], fileName: () => 'app-config.js' },
        },
      }
);
