/** The page's loading worker: fetches and decodes for it, and takes frames that come without compression as they lie. */
import { serve, type FromLoader, type WorkerScope } from '@firstlight/loader/loading';
import { inBatches } from './batch.ts';
import { native, type Form } from './native.ts';

serve(inBatches(globalThis as unknown as WorkerScope<readonly FromLoader[]>), { decodeWhole: async (_, bytes, __, form) => native(form as Form, bytes) });
