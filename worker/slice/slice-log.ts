import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { Queryable } from "../../core/postgres/database.js";
import type { Progress } from "../tick/ticker.js";
import { sliceIds } from "../work/work-store.js";

export interface SliceLogOptions {
  db: Queryable;
  log: Logger;
  /** Up to this many ids are printed; beyond that, what identifies the slice. */
  limit: number;
  progress: () => Progress | null;
}

/** Prints each second which work items this worker watches. */
export class SliceLog {
  readonly #options: SliceLogOptions;
  #slots: readonly number[] = [];

  constructor(options: SliceLogOptions) {
    this.#options = options;
  }

  /** Prints one line. Returns the milliseconds until the next. */
  async step(): Promise<number> {
    const progress = this.#options.progress();
    if (progress === null) return 200;
    const { limit } = this.#options;
    const { slice, rows } = progress;
    if (rows > limit) {
      this.#printSummary(progress, String(rows));
    } else {
      // No row is worked while paused: only the table tells whether the slice is a small one.
      const ids = await this.#idsOf(slice.slots);
      if (ids.length <= limit) this.#printIds(ids);
      else this.#printSummary(progress, `more than ${limit}`);
    }
    this.#slots = slice.slots;
    return 1000;
  }

  /** The slice's ids; of a large one, one more than the limit. */
  async #idsOf(slots: readonly number[]): Promise<string[]> {
    const { db, limit } = this.#options;
    return slots.length === 0 ? [] : await sliceIds(db, slots, limit + 1);
  }

  #printIds(ids: readonly string[]): void {
    const items = ids.length === 1 ? "work item" : "work items";
    const list = ids.length === 0 ? "" : `: ${ids.join(" ")}`;
    this.#options.log.info({ watching: ids }, `watching ${ids.length} ${items}${list}`);
  }

  #printSummary({ slice, rows }: Progress, count: string): void {
    const before = new Set(this.#slots);
    const now = new Set(slice.slots);
    const gained = slice.slots.filter((slot) => !before.has(slot)).length;
    const lost = this.#slots.filter((slot) => !now.has(slot)).length;
    const digest = createHash("sha256").update(slice.slots.join()).digest("hex").slice(0, 12);
    this.#options.log.info(
      { rows, slots: slice.slots.length, ring: slice.ring.version, digest, gained, lost },
      `watching ${count} work items in ${slice.slots.length} slots of ring ${slice.ring.version}` +
        ` (slice ${digest}, +${gained} -${lost} slots)`,
    );
  }
}
