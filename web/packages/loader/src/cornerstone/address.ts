/** The DICOMweb address of a frame (PS3.18 10.4.1.1.3), as it stands in an image id `wadors:{url}`. */

export interface FrameAddress {
  /** What comes before `/studies/`. */
  root: string;
  study: string;
  series: string;
  instance: string;
  /** Counts from 1, as in the URL. */
  frame: number;
}

const FRAME = /^(?:wadors:)?(.*)\/studies\/([^/?]+)\/series\/([^/?]+)\/instances\/([^/?]+)\/frames\/(\d+)(?:[?#].*)?$/;

/** Takes an image id apart; `null` for ids of other loaders. */
export function parseImageId(imageId: string): FrameAddress | null {
  const found = FRAME.exec(imageId);
  if (!found) return null;
  const [, root = '', study = '', series = '', instance = '', frame = ''] = found;
  return { root, study, series, instance, frame: Number(frame) };
}

/** Where the server tells where each resolution of each frame of a series ends. */
export function levelsUrl(address: Pick<FrameAddress, 'root' | 'study' | 'series'>): string {
  return `${address.root}/studies/${address.study}/series/${address.series}/levels`;
}
