// Loads a frame by its levels from any DICOMweb server: node levels.mjs URL-OF-A-FRAME
// (…/studies/{UID}/series/{UID}/instances/{UID}/frames/{n})
import { DecoderPool } from '@firstlight/htj2k/pool';
import { FrameStream } from '@firstlight/loader';

const decoders = new DecoderPool({ workers: 1 });
await new Promise((done, failed) => {
  const stream = new FrameStream({
    url: process.argv[2],
    decoders,
    onImage: ({ level, width, height, complete }) => console.log(`level ${level}: ${width} x ${height}, ${complete ? 'complete' : 'cut'}, after ${stream.have} bytes`),
    onState: ({ state, reason }) => {
      if (state === 'complete') done();
      if (state === 'failed') failed(new Error(reason));
    },
  });
  stream.want(0);
});
decoders.close();
