import type { Quota } from "./quota.js";
import type { SeatLoad } from "./seat-load.js";

/** Above what rounding of shares makes of equal numbers. */
const EPSILON = 1e-6;

/**
 * The last step of levelling: single moves of whole slots. A seat above its quota's range gives a slot if that
 * leaves it at its quota or above; a seat below takes one if that leaves it at its quota or below; and each move
 * makes the two more alike. So it ends, with every seat in its range or less than a slot away, and whoever is
 * that close moves nothing: planning again changes nothing.
 */
export class Settling {
  readonly #load: SeatLoad;
  readonly #quotas: readonly Quota[];
  /** Slots that each seat may give. */
  readonly #slots: number[][];
  /** Rows of the smallest of these; Infinity without any. */
  readonly #smallest: number[];

  constructor(load: SeatLoad, quotas: readonly Quota[]) {
    this.#load = load;
    this.#quotas = quotas;
    this.#slots = Array.from({ length: load.seatCount }, () => []);
    for (let slot = 0; slot < load.slotCount; slot++) {
      if (load.rowsIn(slot) > 0 && load.pinned[slot] === 0) this.#slots[load.ownerOf(slot)]?.push(slot);
    }
    this.#smallest = this.#slots.map((slots) => this.#smallestOf(slots));
  }

  /** Whether no move is left that helps. */
  get settled(): boolean {
    return this.#nextMove() === null;
  }

  /** Moves until settled. */
  run(): void {
    for (let move = this.#nextMove(); move !== null; move = this.#nextMove()) this.#apply(move);
  }

  #nextMove(): { slot: number; from: number; to: number } | null {
    const emptiest = this.#mostBy((seat) => -this.#excess(seat));
    const giver = this.#mostBy((seat) => {
      const isOver = this.#load.rowsOf(seat) > (this.#quotas[seat]?.most ?? 0);
      return isOver && this.#smallestIn(seat) <= this.#excess(seat) + EPSILON ? this.#excess(seat) : null;
    });
    if (giver !== null && emptiest !== null) return this.#pick(giver, emptiest, this.#excess(giver));
    const taker = this.#mostBy((seat) => {
      return this.#load.rowsOf(seat) < (this.#quotas[seat]?.least ?? 0) ? -this.#excess(seat) : null;
    });
    if (taker === null) return null;
    const wanted = -this.#excess(taker);
    const source = this.#mostBy((seat) => {
      const least = this.#smallestIn(seat);
      const helps = least <= wanted + EPSILON && least < this.#excess(seat) + wanted - EPSILON;
      return helps ? this.#excess(seat) : null;
    });
    return source === null ? null : this.#pick(source, taker, wanted);
  }

  /** The slot of at most `limit` rows that makes the two seats most alike; the first of equals. */
  #pick(from: number, to: number, limit: number): { slot: number; from: number; to: number } | null {
    const ideal = (this.#excess(from) - this.#excess(to)) / 2;
    let best: number | null = null;
    let bestDistance = ideal - EPSILON;
    for (const slot of this.#slots[from] ?? []) {
      const count = this.#load.rowsIn(slot);
      const distance = Math.abs(count - ideal);
      if (count > limit + EPSILON || distance > bestDistance) continue;
      if (best !== null && distance === bestDistance && slot > best) continue;
      best = slot;
      bestDistance = distance;
    }
    return best === null ? null : { slot: best, from, to };
  }

  #apply({ slot, from, to }: { slot: number; from: number; to: number }): void {
    this.#load.move(slot, to);
    const left = (this.#slots[from] ?? []).filter((other) => other !== slot);
    this.#slots[from] = left;
    this.#smallest[from] = this.#smallestOf(left);
    this.#slots[to]?.push(slot);
    this.#smallest[to] = Math.min(this.#smallestIn(to), this.#load.rowsIn(slot));
  }

  /** Rows above the exact share; negative below it. */
  #excess(seat: number): number {
    return this.#load.rowsOf(seat) - (this.#quotas[seat]?.rows ?? 0);
  }

  #smallestIn(seat: number): number {
    return this.#smallest[seat] ?? Number.POSITIVE_INFINITY;
  }

  #smallestOf(slots: readonly number[]): number {
    return slots.reduce((least, slot) => Math.min(least, this.#load.rowsIn(slot)), Number.POSITIVE_INFINITY);
  }

  /** The seat with the highest value, the lowest seat of equals; null where none has a value. */
  #mostBy(worthOf: (seat: number) => number | null): number | null {
    let best: number | null = null;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let seat = 0; seat < this.#load.seatCount; seat++) {
      const value = worthOf(seat);
      if (value === null || value <= bestValue) continue;
      best = seat;
      bestValue = value;
    }
    return best;
  }
}
