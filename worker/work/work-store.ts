import type { Queryable } from "../../core/postgres/database.js";

/** What one work statement needs to know. The proof is against the sealed tick, which never changes. */
export interface WorkOrder {
  worker: string;
  /** ISO time of the sealed tick. */
  tick: string;
  increment: number;
  ringDigest: string;
  configDigest: string;
  /** The statement works nothing once the tick is older than this by the database's clock. */
  allowedLagMs: number;
  /** Ids (as text) that failed before and are left out here. */
  excludedIds: readonly string[];
}

export interface WorkScope {
  slots: readonly number[];
  /** Only rows that were worked in this tick (ISO time) or never: their predecessor is through with them. */
  notBefore?: string;
  /** Only these ids (as text). */
  ids?: readonly string[];
  /** Leave out rows that somebody has locked. */
  skipLocked?: boolean;
  /** Work at most so many rows, first those that have waited longest. */
  limit?: number;
}

/**
 * Works rows of `scope`: value + increment, at most once per row and tick. One autocommit statement; returns
 * how many rows it worked. `= ANY` with a sorted array keeps the lock order the same for everybody.
 */
export async function workRows(db: Queryable, order: WorkOrder, scope: WorkScope): Promise<number> {
  const values: unknown[] = [
    scope.slots,
    order.tick,
    order.increment,
    order.worker,
    order.ringDigest,
    order.configDigest,
    order.allowedLagMs,
  ];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  let where = "slot = ANY($1::int2[]) AND lasttick < $2::timestamptz";
  if (scope.notBefore !== undefined) {
    where += ` AND (lasttick >= ${parameter(scope.notBefore)}::timestamptz OR lasttick = '-infinity')`;
  }
  if (order.excludedIds.length > 0) where += ` AND id::text <> ALL(${parameter(order.excludedIds)}::text[])`;
  if (scope.ids !== undefined) where += ` AND id::text = ANY(${parameter(scope.ids)}::text[])`;
  const proof = `$2::timestamptz > now() - $7 * interval '1 ms' AND EXISTS (
    SELECT FROM ticks WHERE tick = $2::timestamptz AND ring_digest = $5 AND config_digest = $6)`;
  const set = "SET value = value + $3, lasttick = $2::timestamptz, currentworker = $4";
  if (scope.skipLocked !== true && scope.limit === undefined) {
    return (await db.query(`UPDATE work_items ${set} WHERE ${where} AND ${proof}`, values)).rowCount;
  }
  const limit = scope.limit === undefined ? "" : `LIMIT ${parameter(scope.limit)}`;
  const lock = `FOR NO KEY UPDATE${scope.skipLocked === true ? " SKIP LOCKED" : ""}`;
  const first = scope.limit === undefined ? "" : "lasttick, ";
  const text = `WITH free AS MATERIALIZED (
      SELECT id FROM work_items WHERE ${where} AND ${proof} ORDER BY ${first}slot, id ${limit} ${lock})
    UPDATE work_items ${set} FROM free
    WHERE work_items.id = free.id AND work_items.lasttick < $2::timestamptz AND ${proof}`;
  return (await db.query(text, values)).rowCount;
}

/** Ids (as text) of the rows of `slots` that this tick hasn't worked, at most `limit`. */
export async function unworkedIds(
  db: Queryable,
  slots: readonly number[],
  tick: string,
  limit: number,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id::text AS id FROM work_items
     WHERE slot = ANY($1::int2[]) AND lasttick < $2::timestamptz ORDER BY slot, id LIMIT $3`,
    [slots, tick, limit],
  );
  return rows.map((row) => row.id);
}

/** Whether the predecessor left rows of `slots` behind: worked before, but neither in this tick nor by us. */
export async function hasUnworkedRows(
  db: Queryable,
  slots: readonly number[],
  tick: string,
): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM work_items
       WHERE slot = ANY($1::int2[]) AND lasttick < $2::timestamptz) AS found`,
    [slots, tick],
  );
  return rows[0]?.found === true;
}

/** How many rows `slots` hold. */
export async function countRows(db: Queryable, slots: readonly number[]): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM work_items WHERE slot = ANY($1::int2[])",
    [slots],
  );
  return rows[0]?.count ?? 0;
}

/** Why a tick's statements work nothing: whether the proof stands, and whether the tick is still young enough. */
export async function checkProof(
  db: Queryable,
  order: WorkOrder,
): Promise<{ sealed: boolean; young: boolean }> {
  const { rows } = await db.query<{ sealed: boolean; young: boolean }>(
    `SELECT EXISTS (SELECT FROM ticks WHERE tick = $1::timestamptz AND ring_digest = $2
                    AND config_digest = $3) AS sealed,
            $1::timestamptz > now() - $4 * interval '1 ms' AS young`,
    [order.tick, order.ringDigest, order.configDigest, order.allowedLagMs],
  );
  return rows[0] ?? { sealed: false, young: false };
}

/** Ids (as text) in the slice, ascending, at most `limit`. */
export async function sliceIds(db: Queryable, slots: readonly number[], limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id::text AS id FROM work_items WHERE slot = ANY($1::int2[]) ORDER BY id LIMIT $2`,
    [slots, limit],
  );
  return rows.map((row) => row.id);
}
