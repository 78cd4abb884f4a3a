import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../core/postgres/database.js";
import { SLOT_COUNT } from "../../core/ring/slots.js";
import { countSlotRows, type SlotRows } from "./slot-rows-store.js";

const REFRESH_MS = 5000;
const HURRIED_MS = 500;
/** Counting may take at most this part of the time. */
const DUTY = 1 / 20;

/** Rows per slot, counted in the background: a plan takes what is there. */
export class SlotRowsCache {
  readonly #db: Queryable;
  readonly #slotCount: number;
  readonly #monotonicNow: () => number;
  #counted: SlotRows | null = null;
  #countedAt = Number.NEGATIVE_INFINITY;
  #durationMs = 0;
  #hurried = false;
  #inFlight: Promise<SlotRows> | null = null;

  constructor(db: Queryable, monotonicNow: () => number, registry: Registry, slotCount = SLOT_COUNT) {
    this.#db = db;
    this.#slotCount = slotCount;
    this.#monotonicNow = monotonicNow;
    const counted = () => this.#counted;
    new Gauge({
      name: "ringfleet_oldest_row_age_seconds",
      help: "Age of the row that has waited longest for its next tick, at the last count of the table.",
      registers: [registry],
      collect() {
        this.set((counted()?.oldestRowAgeMs ?? 0) / 1000);
      },
    });
    new Gauge({
      name: "ringfleet_work_items",
      help: "Rows of work_items at the last count of the table.",
      registers: [registry],
      collect() {
        this.set(counted()?.total ?? 0);
      },
    });
  }

  /** The newest count, or the first one if there is none yet. */
  async get(): Promise<SlotRows> {
    return this.#counted ?? (await this.#count());
  }

  /** The newest count, or null before the first. */
  get newest(): SlotRows | null {
    return this.#counted;
  }

  /** Milliseconds since the newest count. */
  get ageMs(): number {
    return this.#monotonicNow() - this.#countedAt;
  }

  /** Workers report a drift: count again soon. */
  hurry(): void {
    this.#hurried = true;
  }

  /** Counts if it is time to. Returns the milliseconds until the next step. */
  async step(): Promise<number> {
    const pause = Math.max(this.#hurried ? HURRIED_MS : REFRESH_MS, this.#durationMs / DUTY);
    const due = this.#countedAt + pause - this.#monotonicNow();
    if (due > 0) return Math.min(due, HURRIED_MS);
    this.#hurried = false;
    await this.#count();
    return HURRIED_MS;
  }

  #count(): Promise<SlotRows> {
    this.#inFlight ??= this.#countNow().finally(() => {
      this.#inFlight = null;
    });
    return this.#inFlight;
  }

  async #countNow(): Promise<SlotRows> {
    const startedAt = this.#monotonicNow();
    const counted = await countSlotRows(this.#db, this.#slotCount);
    this.#countedAt = this.#monotonicNow();
    this.#durationMs = this.#countedAt - startedAt;
    this.#counted = counted;
    return counted;
  }
}
