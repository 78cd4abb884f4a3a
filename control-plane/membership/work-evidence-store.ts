import type { Queryable } from "../../core/postgres/database.js";
import { UNWORKED_AFTER_MS, type WorkEvidence } from "./verdict.js";

/**
 * What Postgres says of the rows that `worker` has under `ring`: whether it has worked any of them lately. One
 * statement of index probes; each ends at the first row found, or has read the slice.
 */
export async function readWorkEvidence(
  db: Queryable,
  worker: string,
  ring: { version: number; slots: readonly number[] },
  latelyMs: number,
): Promise<WorkEvidence> {
  const { rows } = await db.query<{
    asksForAll: boolean;
    ringIsSettled: boolean;
    ageMs: number | null;
    hasRows: boolean;
    newest: boolean;
    lately: boolean;
  }>(
    `WITH newest AS MATERIALIZED (SELECT tick, config FROM ticks
       WHERE tick <= clock_timestamp() - $4 * interval '1 ms' ORDER BY tick DESC LIMIT 1)
     SELECT
       EXISTS (SELECT FROM versions JOIN newest ON config = version WHERE kind = 'config'
               AND body @> '{"paused": false, "maxRowsPerSecond": 0}') AS "asksForAll",
       EXISTS (SELECT FROM versions WHERE kind = 'ring' AND version = $5
               AND activates_at <= now() - $3 * interval '1 ms') AS "ringIsSettled",
       (SELECT (extract(epoch FROM clock_timestamp() - tick) * 1000)::float8 FROM newest) AS "ageMs",
       EXISTS (SELECT FROM work_items WHERE slot = ANY($1::int2[]) AND lasttick > '-infinity') AS "hasRows",
       EXISTS (SELECT FROM work_items WHERE slot = ANY($1::int2[]) AND currentworker = $2
               AND lasttick >= (SELECT tick FROM newest)) AS newest,
       EXISTS (SELECT FROM work_items WHERE slot = ANY($1::int2[]) AND currentworker = $2
               AND lasttick > now() - $3 * interval '1 ms') AS lately`,
    [ring.slots, worker, latelyMs, UNWORKED_AFTER_MS, ring.version],
  );
  const row = rows[0];
  return {
    hasRows: row?.hasRows ?? false,
    asksForAll: row?.asksForAll ?? false,
    ringIsSettled: row?.ringIsSettled ?? false,
    newestTickAgeMs: row?.ageMs ?? Number.POSITIVE_INFINITY,
    workedNewestTick: row?.newest ?? false,
    workedLately: row?.lately ?? false,
  };
}
