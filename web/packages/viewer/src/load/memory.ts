/** Memory as a budget in bytes: a page that is measured in megabytes stays alive on a phone. */

export interface Budget {
  /** Decoded images. */
  images: number;
  /** Codestreams that were received in part, kept for their finer levels. */
  streams: number;
  /** The volume of a reformat. */
  volume: number;
  /** The decoder's memory at which it is replaced. */
  recycleAt: number;
  /** Pixels a second that this device decodes. */
  decoded: number;
}

const MIB = 1 << 20;

/** `memory` is the device's, in GiB, as far as the browser tells; a narrow screen that is touched is a phone. */
export function budgetOf(memory: number | undefined, phone: boolean): Budget {
  const small = phone || (memory !== undefined && memory <= 2);
  return small
    ? { images: 24 * MIB, streams: 6 * MIB, volume: 12 * MIB, recycleAt: 12 * MIB, decoded: 5e6 }
    : { images: 40 * MIB, streams: 12 * MIB, volume: 24 * MIB, recycleAt: 32 * MIB, decoded: 1e7 };
}

/** The budget of this device. */
export function ownBudget(): Budget {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return budgetOf(deviceMemory, matchMedia('(pointer: coarse) and (max-width: 900px), (pointer: coarse) and (max-height: 500px)').matches);
}
