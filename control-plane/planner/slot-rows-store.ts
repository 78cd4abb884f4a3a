import type { LongQueryable } from "../../core/postgres/database.js";
import { SLOT_COUNT } from "../../core/ring/slots.js";

export interface SlotRows {
  /** Rows of each slot. */
  rows: Uint32Array;
  total: number;
  /** Age of the row that has waited longest for its next tick, ms; null where none was ever worked. */
  oldestRowAgeMs: number | null;
}

/** A large table that has to be read from disk takes its time. */
const COUNT_TIMEOUT_MS = 60_000;

/** Counts the table by slot. Reads the whole table: a background job, never on the way of a publish. */
export async function countSlotRows(db: LongQueryable, slotCount = SLOT_COUNT): Promise<SlotRows> {
  const { rows } = await db.longQuery<{ slot: number; rows: number; ageMs: number | null }>(
    `SELECT slot, count(*)::int AS rows,
       (extract(epoch FROM now() - min(lasttick) FILTER (WHERE lasttick > '-infinity')) * 1000)::float8 AS "ageMs"
     FROM work_items GROUP BY slot`,
    COUNT_TIMEOUT_MS,
  );
  const bySlot = new Uint32Array(slotCount);
  let total = 0;
  let oldestRowAgeMs: number | null = null;
  for (const { slot, rows: count, ageMs } of rows) {
    bySlot[slot] = count;
    total += count;
    if (ageMs !== null) oldestRowAgeMs = Math.max(oldestRowAgeMs ?? 0, ageMs);
  }
  return { rows: bySlot, total, oldestRowAgeMs };
}
