import type { RingSnapshot } from "../../core/ring/view.js";

/** What a worker works under one ring view. */
export interface Slice {
  readonly ring: RingSnapshot;
  /** Ascending. */
  readonly slots: readonly number[];
}

/** The slots whose first tick with us this is, split by whether their predecessor has to be waited for. */
interface Acquisition {
  /** Their predecessor may still be finishing the tick before. */
  waiting: number[];
  /** Held before, or their predecessor is dead or there was none. */
  free: number[];
}

/**
 * Splits the slots of `current` for the first tick under it. `previous` is the view sealed for the tick
 * before; null where there was no tick before, or it is too old for anybody to be still working it.
 */
export function splitAcquired(
  current: Slice,
  previous: RingSnapshot | null,
  incarnation: number,
): Acquisition {
  // By digest, not by number: a database that lost its newest views gives their numbers out again.
  if (previous === null || previous.digest === current.ring.digest) {
    return { waiting: [], free: [...current.slots] };
  }
  const dead = new Set(current.ring.view.dead);
  const waiting: number[] = [];
  const free: number[] = [];
  for (const slot of current.slots) {
    const predecessor = previous.incarnationOf(slot);
    const mustWait = predecessor !== null && predecessor !== incarnation && !dead.has(predecessor);
    (mustWait ? waiting : free).push(slot);
  }
  return { waiting, free };
}
