/** The loading worker: in a browser this file is its program. */
import { serve, type WorkerScope } from './serve.ts';

serve(globalThis as unknown as WorkerScope);
