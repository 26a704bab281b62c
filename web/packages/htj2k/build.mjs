// Puts the two modules beside the compiled sources: WASM_DIR holds what scripts/wasm.sh built.
import { copyFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const from = process.env.WASM_DIR ?? join(here, '../../../.cache/wasm');
for (const name of ['htj2k.wasm', 'htj2k-scalar.wasm']) {
  if (!existsSync(join(from, name))) {
    console.error(`error: ${join(from, name)} is not there\nhint: make wasm`);
    process.exit(1);
  }
  copyFileSync(join(from, name), join(here, 'dist', name));
}
