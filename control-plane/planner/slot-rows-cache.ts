import { setTimeout as sleep } from "node:timers/promises";
import { Gauge, type Registry } from "prom-client";
import type { LongQueryable } from "../../core/postgres/database.js";
import { SQLSTATE, sqlState } from "../../core/postgres/errors.js";
import { SLOT_COUNT } from "../../core/ring/slots.js";
import { countSlotRows, type SlotRows } from "./slot-rows-store.js";

const REFRESH_MS = 5000;
const HURRIED_MS = 500;
/** Counting may take at most this part of the time. */
const DUTY = 1 / 20;

/** A view waits no longer than this for the first count. */
const FIRST_COUNT_MS = 1000;

export interface SlotRowsOptions {
  db: LongQueryable;
  monotonicNow: () => number;
  registry: Registry;
  slotCount?: number;
  sleep?: (ms: number) => Promise<unknown>;
}

/** Rows per slot, counted in the background: a plan takes what is there. */
export class SlotRowsCache {
  readonly #db: LongQueryable;
  readonly #slotCount: number;
  readonly #monotonicNow: () => number;
  readonly #sleep: (ms: number) => Promise<unknown>;
  #counted: SlotRows | null = null;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** When the newest try ended, well or not. */
  #triedAt = Number.NEGATIVE_INFINITY;
  /** How long the newest counts took, the newest last. */
  #durationsMs: number[] = [];
  #hurried = false;
  #inFlight: Promise<SlotRows> | null = null;

  constructor({ registry, ...options }: SlotRowsOptions) {
    this.#db = options.db;
    this.#slotCount = options.slotCount ?? SLOT_COUNT;
    this.#monotonicNow = options.monotonicNow;
    this.#sleep = options.sleep ?? ((ms) => sleep(ms, undefined, { ref: false }));
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

  /**
   * Rows of each slot for a plan: the newest count, or, where the first one takes long or fails, as if all slots
   * held the same. The fleet must not stand still because its table is large; what that leaves uneven is levelled
   * after the count.
   */
  async forPlan(): Promise<Uint32Array> {
    const first = this.get().catch(() => null);
    const counted = await Promise.race([first, this.#sleep(FIRST_COUNT_MS).then(() => null)]);
    return counted?.rows ?? new Uint32Array(this.#slotCount).fill(1);
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
    const pause = Math.max(this.#hurried ? HURRIED_MS : REFRESH_MS, this.#costMs() / DUTY);
    const due = this.#triedAt + pause - this.#monotonicNow();
    if (due > 0) return Math.min(due, HURRIED_MS);
    this.#hurried = false;
    await this.#count();
    return HURRIED_MS;
  }

  /**
   * What a count takes: the shorter of the newest two, since one that hung in an outage says nothing about the table,
   * and would leave the age of the oldest row unwatched for 20 times as long.
   */
  #costMs(): number {
    return this.#durationsMs.length < 2 ? 0 : Math.min(...this.#durationsMs);
  }

  #count(): Promise<SlotRows> {
    this.#inFlight ??= this.#countNow().finally(() => {
      this.#inFlight = null;
    });
    return this.#inFlight;
  }

  async #countNow(): Promise<SlotRows> {
    const startedAt = this.#monotonicNow();
    try {
      this.#counted = await countSlotRows(this.#db, this.#slotCount);
      this.#countedAt = this.#monotonicNow();
      this.#tookSince(startedAt);
      return this.#counted;
    } catch (error) {
      // Any other failure is Postgres's, not the table's.
      if (sqlState(error) === SQLSTATE.queryCanceled) this.#tookSince(startedAt);
      throw error;
    } finally {
      this.#triedAt = this.#monotonicNow();
    }
  }

  #tookSince(startedAt: number): void {
    this.#durationsMs = [...this.#durationsMs.slice(-1), this.#monotonicNow() - startedAt];
  }
}
