/** The application's loading worker: it loads for the page, and shows the first image of a study itself while the page is busy. */
import { serve, type WorkerScope } from '../../loader/src/loading/serve.ts';
import { FirstPainter } from './first-painter.ts';

const scope = globalThis as unknown as WorkerScope;
let painter: FirstPainter | undefined;
const loader = serve(scope, { onImage: (frame, image) => painter?.onImage(frame.slice(frame.indexOf(':') + 1), image) });

scope.addEventListener('message', ({ data }) => {
  const { type, port } = data as { type: string; port?: MessagePort };
  if (type !== 'first-picture' || !port) return;
  const own = (painter = new FirstPainter(loader, message => port.postMessage(message)));
  port.onmessage = event => own.hear(event.data);
});
