import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf, SQLSTATE, sqlState } from "../../core/postgres/errors.js";
import type { FailingRows } from "./failing-rows.js";
import { unworkedIds, type WorkOrder, type WorkScope, workRows } from "./work-store.js";

/** How often deadlocks and serialization failures are tried again within a tick. */
const MAX_CONFLICT_RETRIES = 5;
/** Rows of one slot that are told apart when one of them raises. */
const MAX_ROWS_BISECTED = 20_000;

export interface ChunkResult {
  rows: number;
  /** Somebody held row locks for longer than lock_timeout: these rows were left out. */
  contended: boolean;
  /** The statement ran into its time limit: the tick has no more time. */
  timedOut: boolean;
  /** Rows that raised, new ones first seen in this chunk. */
  failing: { id: string; error: string }[];
}

/** Errors that a row's content causes (data exceptions, constraints, raised by triggers), not the database's state. */
function isRowError(state: string): boolean {
  return ["22", "23", "27", "38", "39", "44", "P0"].includes(state.slice(0, 2)) || state === "09000";
}

/**
 * Works one chunk, whatever stands in its way: a lock is stepped around, a raising row is found by bisection
 * and left out, conflicts are tried again. Errors of the connection are the caller's.
 */
export async function workChunk(
  db: Queryable,
  order: WorkOrder,
  scope: WorkScope,
  failing: FailingRows,
  now: () => number,
): Promise<ChunkResult> {
  const result: ChunkResult = { rows: 0, contended: false, timedOut: false, failing: [] };
  await workScope(scope, 0);
  return result;

  async function workScope(part: WorkScope, conflicts: number): Promise<void> {
    const excluding = { ...order, excludedIds: failing.ids };
    // However many statements it takes, the limit is the chunk's.
    const limit = part.limit === undefined ? undefined : part.limit - result.rows;
    if (limit !== undefined && limit <= 0) return;
    try {
      result.rows += await workRows(db, excluding, limit === undefined ? part : { ...part, limit });
    } catch (error) {
      const state = sqlState(error);
      if (state === null) throw error;
      if (state === SQLSTATE.lockNotAvailable && part.skipLocked !== true) {
        result.contended = true;
        await workScope({ ...part, skipLocked: true }, conflicts);
      } else if (state === SQLSTATE.queryCanceled) {
        result.timedOut = true;
      } else if (state === SQLSTATE.deadlockDetected || state === SQLSTATE.serializationFailure) {
        if (conflicts >= MAX_CONFLICT_RETRIES) throw error;
        await workScope(part, conflicts + 1);
      } else if (isRowError(state)) {
        await bisect(part, reasonOf(error));
      } else {
        throw error;
      }
    }
  }

  async function bisect(part: WorkScope, error: string): Promise<void> {
    if (part.ids === undefined && part.slots.length > 1) {
      const middle = part.slots.length >> 1;
      await workScope({ ...part, slots: part.slots.slice(0, middle) }, 0);
      if (!result.timedOut) await workScope({ ...part, slots: part.slots.slice(middle) }, 0);
      return;
    }
    const excluded = new Set(failing.ids);
    const ids =
      part.ids ??
      (await unworkedIds(db, part.slots, order.tick, MAX_ROWS_BISECTED)).filter((id) => !excluded.has(id));
    const [only] = ids;
    if (ids.length === 1 && only !== undefined) {
      const slot = part.slots[0] ?? 0;
      if (failing.add(only, slot, error, now())) result.failing.push({ id: only, error });
      return;
    }
    const middle = ids.length >> 1;
    if (ids.length === 0) return;
    await workScope({ ...part, ids: ids.slice(0, middle) }, 0);
    if (!result.timedOut) await workScope({ ...part, ids: ids.slice(middle) }, 0);
  }
}
