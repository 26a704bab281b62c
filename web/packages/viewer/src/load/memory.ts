/** Memory as a budget in bytes: a page that is measured in megabytes stays alive on a phone. */

export interface Budget {
  /** Decoded images. */
  images: number;
  /** Codestreams that were received in part, kept for their finer levels. */
  streams: number;
  /** The volume of a reformat. */
  volume: number;
  /** Decoding workers, and the memory at which one of them is replaced. */
  workers: number;
  recycleAt: number;
}

const MIB = 1 << 20;

/** `memory` is the device's, in GiB, as far as the browser tells; a narrow screen that is touched is a phone. */
export function budgetOf(memory: number | undefined, phone: boolean, processors: number): Budget {
  const small = phone || (memory !== undefined && memory <= 2);
  return small
    ? { images: 24 * MIB, streams: 6 * MIB, volume: 12 * MIB, workers: 1, recycleAt: 12 * MIB }
    : { images: 40 * MIB, streams: 12 * MIB, volume: 24 * MIB, workers: Math.max(1, Math.min(2, processors - 1)), recycleAt: 16 * MIB };
}

/** The budget of this device. */
export function ownBudget(): Budget {
  const { deviceMemory, hardwareConcurrency } = navigator as Navigator & { deviceMemory?: number };
  return budgetOf(deviceMemory, matchMedia('(pointer: coarse) and (max-width: 900px), (pointer: coarse) and (max-height: 500px)').matches, hardwareConcurrency || 2);
}
