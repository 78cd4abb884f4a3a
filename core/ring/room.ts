import { type SeatLoad, UNPLACED } from "./seat-load.js";

/** How many points with room along the circle a slot tries before it counts as one that fits nowhere. */
const MAX_TRIES = 256;

/**
 * Finds the next seat along the ring that has room under its target. Seats whose room is used up are skipped by a
 * union-find over the circle's points, so that filling all seats takes near-linear time. Holds as long as no seat
 * with room gains any, which is so while over-full seats give no more than they have too much.
 */
export class RoomAlongRing {
  readonly #load: SeatLoad;
  readonly #targets: readonly number[];
  /** For each point itself, or a later one where its seat has no room left. */
  readonly #next: Int32Array;

  constructor(load: SeatLoad, targets: readonly number[]) {
    this.#load = load;
    this.#targets = targets;
    this.#next = Int32Array.from(load.ring.points, (_, point) => point);
  }

  /** Rows that a seat may still get; negative where it has too many. */
  of(seat: number): number {
    return (this.#targets[seat] ?? 0) - this.#load.rowsOf(seat);
  }

  /** The first seat along the ring from a slot with room for `count` rows, or UNPLACED. */
  next(slot: number, count: number): number {
    const points = this.#next.length;
    let point = this.#load.ring.pointOfSlot[slot] ?? 0;
    let walked = 0;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const open = this.#open(point);
      if (open === UNPLACED) return UNPLACED;
      walked += (open - point + points) % points;
      if (walked >= points) return UNPLACED;
      const seat = this.#load.seatAt(open);
      if (this.of(seat) >= count) return seat;
      point = (open + 1) % points;
      walked += 1;
    }
    return UNPLACED;
  }

  /** The seat with the most room; the lowest of equals. */
  most(): number {
    let best = 0;
    for (let seat = 1; seat < this.#targets.length; seat++) {
      if (this.of(seat) > this.of(best)) best = seat;
    }
    return best;
  }

  /** The first point from here on whose seat has room for the smallest slot, or UNPLACED where there is none. */
  #open(from: number): number {
    const points = this.#next.length;
    let point = from;
    for (let steps = 0; steps <= points; steps++) {
      const next = this.#next[point] ?? point;
      if (next === point) {
        if (this.of(this.#load.seatAt(point)) >= this.#load.smallestSlot) return this.#compress(from, point);
        this.#next[point] = (point + 1) % points;
      }
      point = this.#next[point] ?? point;
    }
    return UNPLACED;
  }

  #compress(from: number, to: number): number {
    for (let point = from; point !== to; ) {
      const next = this.#next[point] ?? to;
      this.#next[point] = to;
      point = next;
    }
    return to;
  }
}
