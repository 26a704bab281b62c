/** The page's loading worker: fetches and decodes for it, and takes frames that come without compression as they lie. */
import { serve, type WorkerScope } from '@firstlight/loader/loading';
import { native, type Form } from './native.ts';

serve(globalThis as unknown as WorkerScope, { decodeWhole: async (_, bytes, __, form) => native(form as Form, bytes) });
