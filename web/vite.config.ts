/** One bundle: the viewer's app-config as one classic script, which sets `window.config` when it runs. */
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: 'dist/viewer',
    emptyOutDir: true,
    target: 'es2022',
    lib: { entry: 'ohif/app-config.ts', name: 'firstlight', formats: ['iife'], fileName: () => 'app-config.js' },
  },
});
