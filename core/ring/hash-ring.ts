import HashRing from "hashring";
import { NOBODY, SLOT_COUNT } from "./slots.js";

/** 4 vnodes of 4 points each: about 15 runs of neighbouring slots a seat, which levelling then evens out. */
const VNODES = 4;
/**
 * hashring computes a vnode count of its own (and at some fleet sizes loses one to rounding, which moves keys)
 * unless each server's differs from this option.
 */
const UNUSED_VNODE_COUNT = 40;

/** The consistent-hash ring over a set of seats, read slot by slot. */
export interface SlotRing {
  /** Seat number of each slot's default seat; NOBODY without seats. */
  readonly defaults: Uint16Array;
  /** Seat numbers of the circle's points, in the order of the circle. */
  readonly points: Uint16Array;
  /** For each slot, the index in `points` of the point that owns it. */
  readonly pointOfSlot: Uint32Array;
}

/**
 * Builds the ring of `seats` (seat numbers, in any order). The slots stand at equal distances on the 32-bit
 * circle; another `slotCount` than the product's makes a smaller ring, for simulations.
 */
export function buildSlotRing(seats: readonly number[], slotCount = SLOT_COUNT): SlotRing {
  const defaults = new Uint16Array(slotCount).fill(NOBODY);
  const pointOfSlot = new Uint32Array(slotCount);
  if (seats.length === 0) return { defaults, points: new Uint16Array(0), pointOfSlot };
  const servers: Record<string, { vnodes: number }> = {};
  for (const seat of [...seats].sort((a, b) => a - b)) servers[`seat-${seat}`] = { vnodes: VNODES };
  const ring = new HashRing(servers, "md5", { "vnode count": UNUSED_VNODE_COUNT });
  // What the types of hashring leave out: its sorted points, and the search among them by position.
  const { ring: circle } = ring as unknown as { ring: { value: number; server: string }[] };
  const find = (position: number) => (ring as unknown as { find(at: number): number }).find(position);
  const points = Uint16Array.from(circle, (point) => Number(point.server.slice("seat-".length)));
  const slotWidth = 2 ** 32 / slotCount;
  for (let slot = 0; slot < slotCount; slot++) {
    const point = find(slot * slotWidth);
    pointOfSlot[slot] = point;
    defaults[slot] = points[point] ?? NOBODY;
  }
  return { defaults, points, pointOfSlot };
}
