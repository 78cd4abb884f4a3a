import type { Queryable } from "../postgres/database.js";
import type { OpenedTick, SealedTick } from "./sealed-tick.js";

const SEALED = `(extract(epoch FROM tick) * 1000)::float8 AS "tickMs", ring, ring_digest AS "ringDigest",
  config, config_digest AS "configDigest"`;

/**
 * The config in force. The version is chosen here and its content read outside: Postgres may read whatever is
 * selected beside a LIMIT from every row, and a row that was changed by hand, though it rules no more, would keep
 * all ticks from opening.
 */
const RULING = `
  SELECT version, digest, activates_at, body->>'tickMs' AS tick_ms FROM versions
  WHERE kind = 'config' AND activates_at <= now() ORDER BY version DESC LIMIT 1`;

/**
 * The insert seals the tick, the last statement tells everybody. All go in one simple query, which Postgres
 * runs as one transaction without waiting for the client in between. Openers come one after the other (the
 * lock is the transaction's; whoever finds the tick open takes none), so that the insert's snapshot sees every
 * earlier sealed tick: without it an opener held up at a boundary could seal the older tick after the younger
 * one, and with a newer view (docs/decisions/0002).
 *
 * The tick is the boundary of the grid of the config in force; a config rules from the first boundary of its
 * own grid at or after its activation. A tick never opens before one that is open: a clock that steps back
 * opens none until it has caught up.
 */
const OPEN_TICK = `
SELECT pg_advisory_xact_lock('ticks'::regclass::oid::int, 1) WHERE NOT EXISTS (
  SELECT FROM ticks WHERE tick = (
    SELECT date_bin(tick_ms::int * interval '1 ms', now(), 'epoch') FROM (${RULING}) AS ruling));
WITH c AS (
  SELECT version, digest, activates_at, tick_ms::int * interval '1 ms' AS stride FROM (${RULING}) AS ruling
), t AS (
  SELECT date_bin(c.stride, now(), 'epoch') AS tick, c.version, c.digest, c.activates_at FROM c
), r AS (
  SELECT v.version, v.digest FROM versions v, t
  WHERE v.kind = 'ring' AND v.activates_at <= t.tick ORDER BY v.version DESC LIMIT 1
)
INSERT INTO ticks (tick, ring, ring_digest, config, config_digest)
SELECT t.tick, r.version, r.digest, t.version, t.digest FROM t, r
WHERE t.tick >= t.activates_at AND t.tick > (SELECT coalesce(max(tick), '-infinity') FROM ticks)
ON CONFLICT (tick) DO NOTHING;
SELECT clock.*, grid.*, newest.*
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "databaseNowMs") AS clock
LEFT JOIN LATERAL (
  SELECT (extract(epoch FROM least(
    date_bin(tick_ms::int * interval '1 ms', now(), 'epoch') + tick_ms::int * interval '1 ms',
    (SELECT min(p.activates_at) FROM versions p
     WHERE p.kind = 'config' AND p.version > ruling.version AND p.activates_at > now())
  )) * 1000)::float8 AS "nextTickMs"
  FROM (${RULING}) AS ruling
) AS grid ON true
LEFT JOIN LATERAL (SELECT ${SEALED} FROM ticks ORDER BY tick DESC LIMIT 2) AS newest ON true`;

/**
 * Opens the tick of this moment, if nobody has yet, and returns the newest two sealed ticks.
 * Both are null while there is no config or no ring view.
 */
export async function openTick(db: Queryable): Promise<OpenedTick> {
  type OpenedRow = { databaseNowMs: number; nextTickMs: number | null; tickMs: number | null } & Record<
    string,
    unknown
  >;
  const { rows } = await db.query<OpenedRow>(OPEN_TICK);
  const sealed = rows
    .filter((row) => row.tickMs !== null)
    .map(
      ({ tickMs, ring, ringDigest, config, configDigest }) =>
        ({ tickMs, ring, ringDigest, config, configDigest }) as SealedTick,
    )
    .sort((a, b) => b.tickMs - a.tickMs);
  return {
    newest: sealed[0] ?? null,
    previous: sealed[1] ?? null,
    databaseNowMs: rows[0]?.databaseNowMs ?? Number.NaN,
    nextTickMs: rows[0]?.nextTickMs ?? null,
  };
}

/**
 * Deletes ticks older than `keepMs`, never the newest. The first tick of each config stays known: what is
 * deleted is the oldest, so that the first of it is the config's first unless an earlier one stands already.
 */
export async function pruneTicks(db: Queryable, keepMs: number): Promise<void> {
  await db.query(
    `WITH gone AS (
       DELETE FROM ticks
       WHERE tick < now() - $1 * interval '1 ms' AND tick < (SELECT max(tick) FROM ticks)
       RETURNING config, tick
     )
     INSERT INTO config_first_ticks (version, tick) SELECT config, min(tick) FROM gone GROUP BY config
     ON CONFLICT (version) DO NOTHING`,
    [keepMs],
  );
}
