import type { SlotRing } from "./hash-ring.js";
import { NOBODY } from "./slots.js";
import type { Seat } from "./view.js";

/** Owner of a slot whose seat is gone, until it is placed. */
export const UNPLACED = -1;

/** Working state of one levelling: who owns which slot and how many rows that makes. Seats by index in the view. */
export class SeatLoad {
  readonly ring: SlotRing;
  readonly slotRows: ArrayLike<number>;
  readonly slotCount: number;
  readonly seatCount: number;
  readonly weights: readonly number[];
  readonly owners: Int32Array;
  /** Rows of each seat. */
  readonly rows: Float64Array;
  /** 1 for slots that stay where they are: see placeHotSlots. */
  readonly pinned: Uint8Array;
  readonly totalRows: number;
  /** Rows of the smallest slot that has any; Infinity without rows. */
  readonly smallestSlot: number;
  readonly #indexOf = new Int32Array(NOBODY + 1).fill(UNPLACED);

  /** Slots without rows follow the ring, slots of surviving seats stay, all others are unplaced. */
  constructor(
    seats: readonly Seat[],
    ring: SlotRing,
    previous: ArrayLike<number> | null,
    slotRows: ArrayLike<number>,
  ) {
    this.ring = ring;
    this.slotRows = slotRows;
    this.slotCount = ring.defaults.length;
    this.seatCount = seats.length;
    this.owners = new Int32Array(this.slotCount);
    this.pinned = new Uint8Array(this.slotCount);
    this.weights = seats.map((seat) => seat.weight);
    this.rows = new Float64Array(seats.length);
    seats.forEach((seat, index) => {
      this.#indexOf[seat.seat] = index;
    });
    let total = 0;
    let smallest = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.slotCount; slot++) {
      const count = this.rowsIn(slot);
      if (count > 0 && count < smallest) smallest = count;
      total += count;
      const held = count === 0 ? ring.defaults[slot] : previous?.[slot];
      const owner = this.#indexOf[held ?? NOBODY] ?? UNPLACED;
      this.owners[slot] = owner;
      if (owner !== UNPLACED) this.rows[owner] = this.rowsOf(owner) + count;
    }
    this.totalRows = total;
    this.smallestSlot = smallest;
  }

  rowsIn(slot: number): number {
    return this.slotRows[slot] ?? 0;
  }

  rowsOf(seat: number): number {
    return this.rows[seat] ?? 0;
  }

  ownerOf(slot: number): number {
    return this.owners[slot] ?? UNPLACED;
  }

  /** Seat that the ring gives a slot. */
  defaultOf(slot: number): number {
    return this.#indexOf[this.ring.defaults[slot] ?? NOBODY] ?? UNPLACED;
  }

  /** Seat of a point of the circle. */
  seatAt(point: number): number {
    return this.#indexOf[this.ring.points[point] ?? NOBODY] ?? UNPLACED;
  }

  move(slot: number, to: number): void {
    const from = this.ownerOf(slot);
    const count = this.rowsIn(slot);
    if (from !== UNPLACED) this.rows[from] = this.rowsOf(from) - count;
    this.rows[to] = this.rowsOf(to) + count;
    this.owners[slot] = to;
  }
}
