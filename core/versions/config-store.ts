import type { Queryable } from "../postgres/database.js";
import { SQLSTATE, sqlState } from "../postgres/errors.js";
import type { VersionDocument } from "./version.js";
import { VERSION_COLUMNS } from "./version-store.js";

type DocumentRow = VersionDocument & Record<string, unknown>;

export interface ConfigPublication {
  /** The highest version that the change was made on, pending included; 0 where there was none. */
  base: number;
  activatesAtMs: number;
  digest: string;
  body: unknown;
  createdBy: string;
  reason: string;
  /** Id of the webhook message that asked for it: one that was taken before publishes nothing. */
  delivery: string | null;
}

/**
 * Publishes config version base + 1 in one statement: refused (null) if base is no longer the highest, if its
 * activation has come meanwhile by the database's clock, or if its webhook message was taken before. The
 * message's id is kept if and only if the version is published.
 */
export async function publishConfig(
  db: Queryable,
  config: ConfigPublication,
): Promise<VersionDocument | null> {
  try {
    const { rows } = await db.query<DocumentRow>(
      `WITH head AS (
         SELECT WHERE $1::bigint = (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'config')
           AND to_timestamp($2::float8 / 1000) > clock_timestamp()
       ), delivery AS (
         INSERT INTO webhook_deliveries (id) SELECT $7::text FROM head WHERE $7::text IS NOT NULL
         ON CONFLICT (id) DO NOTHING RETURNING id
       )
       INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
       SELECT 'config', $1::bigint + 1, to_timestamp($2::float8 / 1000), $3, $4::jsonb, $5, $6 FROM head
       WHERE $7::text IS NULL OR EXISTS (SELECT FROM delivery)
       RETURNING ${VERSION_COLUMNS}`,
      [
        config.base,
        config.activatesAtMs,
        config.digest,
        JSON.stringify(config.body),
        config.createdBy,
        config.reason,
        config.delivery,
      ],
    );
    return rows[0] ?? null;
  } catch (error) {
    // Another replica publishes the same number at this moment: nothing of this statement stays.
    if (sqlState(error) === SQLSTATE.uniqueViolation) return null;
    throw error;
  }
}

/** The configs that rule now or may rule later, and the database's clock. */
export interface ConfigSchedule {
  nowMs: number;
  /** 0 where there is no config. */
  highest: number;
  /** The ruling one and all above it, highest first: none below it can ever rule again. */
  documents: VersionDocument[];
  /** Whether the webhook message asked about was taken before. */
  delivered: boolean;
  /** When the newest of all webhook messages was taken, by Postgres's clock; null: none is kept. */
  newestDeliveryMs: number | null;
}

/** `delivery`: id of a webhook message to ask about in the same snapshot, or null. */
export async function readConfigSchedule(db: Queryable, delivery: string | null): Promise<ConfigSchedule> {
  type ScheduleRow = Pick<ConfigSchedule, "nowMs" | "delivered" | "newestDeliveryMs"> & {
    version: number | null;
  } & Record<string, unknown>;
  const { rows } = await db.query<ScheduleRow>(
    `SELECT (extract(epoch FROM clock.now) * 1000)::float8 AS "nowMs", document.*,
       EXISTS (SELECT FROM webhook_deliveries WHERE id = $1) AS delivered,
       (SELECT extract(epoch FROM max(received_at)) * 1000 FROM webhook_deliveries)::float8 AS "newestDeliveryMs"
     FROM (SELECT clock_timestamp() AS now) AS clock
     LEFT JOIN LATERAL (
       SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = 'config' AND version >= (
         SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'config' AND activates_at <= clock.now)
     ) AS document ON true
     ORDER BY document.version DESC`,
    [delivery],
  );
  const documents = rows
    .filter((row) => row.version !== null)
    .map(({ nowMs, delivered, newestDeliveryMs, ...document }) => document as unknown as VersionDocument);
  return {
    nowMs: rows[0]?.nowMs ?? Number.NaN,
    highest: documents[0]?.version ?? 0,
    documents,
    delivered: rows[0]?.delivered === true,
    newestDeliveryMs: rows[0]?.newestDeliveryMs ?? null,
  };
}

/** Config versions below `before` (null: all), highest first, at most `limit`. */
export async function readConfigPage(
  db: Queryable,
  before: number | null,
  limit: number,
): Promise<VersionDocument[]> {
  const { rows } = await db.query<DocumentRow>(
    `SELECT ${VERSION_COLUMNS} FROM versions
     WHERE kind = 'config' AND ($1::bigint IS NULL OR version < $1::bigint) ORDER BY version DESC LIMIT $2`,
    [before, limit],
  );
  return rows;
}

/** By config version from `lowest` to `highest`: the first tick that it ruled, in epoch ms. Also what pruned ticks said. */
export async function readFirstTicks(
  db: Queryable,
  lowest: number,
  highest: number,
): Promise<Map<number, number>> {
  const { rows } = await db.query<{ version: number; tickMs: number }>(
    `SELECT version::float8 AS version, (extract(epoch FROM min(tick)) * 1000)::float8 AS "tickMs"
     FROM (SELECT version, tick FROM config_first_ticks UNION ALL SELECT config, tick FROM ticks) AS seen
     WHERE version BETWEEN $1 AND $2 GROUP BY version`,
    [lowest, highest],
  );
  return new Map(rows.map(({ version, tickMs }) => [version, tickMs]));
}
