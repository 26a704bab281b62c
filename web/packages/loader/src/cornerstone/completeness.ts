/**
 * Whether what a viewport shows is the full image or a preview of it.
 *
 * A preview has wrong pixel spacing (a reduced image in a stack) and approximate values (a reduced or neighbouring slice in
 * a volume), so nothing may be measured on it. When in doubt it is a preview.
 */

/** `imageQualityStatus` of an image that is complete (Cornerstone3D `ImageQualityStatus.FULL_RESOLUTION`). */
export const FULL_RESOLUTION = 8;
/** An image of its own, though of fewer pixels (`SUBRESOLUTION`); below it values are a neighbour's. */
const REDUCED = 6;

export interface ShownImage {
  imageId: string;
  imageQualityStatus?: number | undefined;
}

/** A volume that is filled from frames. Others (a segmentation, say) have no `cachedFrames`. */
export interface ShownVolume {
  imageIds?: readonly string[];
  cachedFrames?: readonly (number | undefined)[];
}

/** What is used of a Cornerstone3D viewport. */
export interface ShownViewport {
  type: string;
  getCornerstoneImage?: () => ShownImage | undefined;
  getCurrentImageId?: () => string | undefined;
  getAllVolumeIds?: () => string[];
}

export type Completeness =
  /** Nothing is shown yet, or the viewport shows no image that loads in parts. */
  | { state: 'empty' }
  | { state: 'complete' }
  /** `share` is what is known to be complete, 0 to 1, where that can be told. */
  | { state: 'preview'; share: number | null; why?: Why };

/** What a preview lacks. */
export interface Why {
  /** Another image stands under this index: the one that belongs here has not come. */
  other?: boolean;
  /** Shares of a volume's slices that show nothing, and that show a neighbour's values. */
  missing?: number;
  interpolated?: number;
}

/** The state of `viewport`; `volume` finds a volume by its id. */
export function completeness(viewport: ShownViewport, volume: (id: string) => ShownVolume | undefined): Completeness {
  if (viewport.getAllVolumeIds) return completenessOfVolumes(viewport.getAllVolumeIds(), volume);
  if (!viewport.getCornerstoneImage) return { state: 'empty' };
  const image = viewport.getCornerstoneImage();
  if (!image) return { state: 'empty' };
  const current = viewport.getCurrentImageId?.();
  if (current !== undefined && current !== image.imageId) return { state: 'preview', share: null, why: { other: true } };
  return isComplete(image) ? { state: 'complete' } : { state: 'preview', share: null };
}

/** Images of other loaders (local files, derived images) come whole and have no status. */
function isComplete(image: ShownImage): boolean {
  if (image.imageQualityStatus === undefined) return !image.imageId.startsWith('wadors:');
  return image.imageQualityStatus >= FULL_RESOLUTION;
}

function completenessOfVolumes(ids: readonly string[], volume: (id: string) => ShownVolume | undefined): Completeness {
  let frames = 0;
  let complete = 0;
  let shown = 0;
  let [missing, interpolated] = [0, 0];
  for (const id of ids) {
    const found = volume(id);
    if (!found) continue;
    shown++;
    if (!found.cachedFrames || !found.imageIds) continue;
    frames += found.imageIds.length;
    for (let i = 0; i < found.imageIds.length; i++) {
      const status = found.cachedFrames[i] ?? 0;
      if (status >= FULL_RESOLUTION) complete++;
      else if (status === 0) missing++;
      else if (status < REDUCED) interpolated++;
    }
  }
  if (shown === 0) return { state: 'empty' };
  return complete === frames ? { state: 'complete' } : { state: 'preview', share: complete / frames, why: { missing: missing / frames, interpolated: interpolated / frames } };
}
