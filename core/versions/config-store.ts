import type { Queryable } from "../postgres/database.js";
import type { VersionDocument } from "./version.js";
import { readVersion } from "./version-store.js";

export interface ConfigPublication {
  /** The highest version that the change was made on, pending included; 0 where there was none. */
  base: number;
  activatesAtMs: number;
  digest: string;
  body: unknown;
  createdBy: string;
  reason: string;
}

/**
 * Publishes config version base + 1 in one statement: refused (null) if base is no longer the highest, or if its
 * activation has come meanwhile by the database's clock.
 */
export async function publishConfig(
  db: Queryable,
  config: ConfigPublication,
): Promise<VersionDocument | null> {
  const { rowCount } = await db.query(
    `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
     SELECT 'config', $1::bigint + 1, to_timestamp($2::float8 / 1000), $3, $4::jsonb, $5, $6
     WHERE $1::bigint = (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'config')
       AND to_timestamp($2::float8 / 1000) > clock_timestamp()
     ON CONFLICT (kind, version) DO NOTHING`,
    [
      config.base,
      config.activatesAtMs,
      config.digest,
      JSON.stringify(config.body),
      config.createdBy,
      config.reason,
    ],
  );
  return rowCount === 1 ? readVersion(db, "config", config.base + 1) : null;
}

/** Epoch milliseconds of the database's clock. */
export async function readDatabaseNow(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: number }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now",
  );
  return rows[0]?.now ?? Number.NaN;
}

/** By config version: the first tick that it ruled, in epoch milliseconds. Also what the pruned ticks said. */
export async function readFirstTicks(db: Queryable): Promise<Map<number, number>> {
  const { rows } = await db.query<{ version: number; tickMs: number }>(
    `SELECT version::float8 AS version, (extract(epoch FROM min(tick)) * 1000)::float8 AS "tickMs"
     FROM (SELECT version, tick FROM config_first_ticks UNION ALL SELECT config, tick FROM ticks) AS seen
     GROUP BY version`,
  );
  return new Map(rows.map(({ version, tickMs }) => [version, tickMs]));
}

/** Keeps the first tick of each config beyond the ticks themselves. Far more often than ticks are deleted. */
export async function recordFirstTicks(db: Queryable): Promise<void> {
  await db.query(
    `INSERT INTO config_first_ticks (version, tick) SELECT config, min(tick) FROM ticks GROUP BY config
     ON CONFLICT (version) DO NOTHING`,
  );
}
