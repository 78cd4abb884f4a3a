import type { Queryable } from "../postgres/database.js";
import type { VersionDocument, VersionKind } from "./version.js";

export const VERSION_COLUMNS = `kind, version, digest, body, created_by AS "createdBy", reason,
  (extract(epoch FROM activates_at) * 1000)::float8 AS "activatesAtMs",
  (extract(epoch FROM created_at) * 1000)::float8 AS "createdAtMs"`;

type VersionRow = VersionDocument & Record<string, unknown>;

/** One document, or null where there is none of that number. */
export async function readVersion(
  db: Queryable,
  kind: VersionKind,
  version: number,
): Promise<VersionDocument | null> {
  const { rows } = await db.query<VersionRow>(
    `SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = $1 AND version = $2`,
    [kind, version],
  );
  return rows[0] ?? null;
}

/** The newest documents, highest version first, pending ones included. */
export async function readNewestVersions(
  db: Queryable,
  kind: VersionKind,
  limit: number,
): Promise<VersionDocument[]> {
  const { rows } = await db.query<VersionRow>(
    `SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = $1 ORDER BY version DESC LIMIT $2`,
    [kind, limit],
  );
  return rows;
}

/** The highest version whose activation has come by the database's clock, or null. */
export async function readActiveVersion(db: Queryable, kind: VersionKind): Promise<VersionDocument | null> {
  const { rows } = await db.query<VersionRow>(
    `SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = $1 AND activates_at <= now() ORDER BY version DESC LIMIT 1`,
    [kind],
  );
  return rows[0] ?? null;
}

export interface HighestVersions {
  /** Version numbers, 0 where there is none. */
  ring: number;
  config: number;
  /** A failover that loses commits can give a number to another document. */
  ringDigest: string | null;
}

/** Highest version of each kind: the follower's cheap poll. */
export async function readHighestVersions(db: Queryable): Promise<HighestVersions> {
  const { rows } = await db.query<HighestVersions & Record<string, unknown>>(
    `SELECT (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'ring') AS ring,
            (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'config') AS config,
            (SELECT digest FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1) AS "ringDigest"`,
  );
  return rows[0] ?? { ring: 0, config: 0, ringDigest: null };
}

export interface RingPublication {
  /** The highest version that the plan was built on, 0 where there was none. */
  base: number;
  digest: string;
  body: unknown;
  createdBy: string;
  reason: string;
  holder: string;
  term: number;
  /** Epoch ms by the database's clock: what arrives later was decided too long ago. */
  notAfterMs: number;
}

/**
 * Publishes ring version base + 1, active at once, in one statement: refused (null) if base is no longer the
 * highest, if the lease or the term of this leader has ended, or if it comes too late. The lease row is read FOR SHARE, so that a
 * successor's election and this publish come one after the other, whichever is first.
 */
export async function publishRing(db: Queryable, ring: RingPublication): Promise<VersionDocument | null> {
  const { rows } = await db.query<VersionRow>(
    `WITH lease AS (
       SELECT FROM leadership
       WHERE holder = $1 AND term = $2 AND expires_at > clock_timestamp()
       FOR SHARE
     )
     INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
     SELECT 'ring', $3::bigint + 1, now(), $4, $5::jsonb, $6, $7 FROM lease
     WHERE $3::bigint = (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'ring')
       AND clock_timestamp() <= to_timestamp($8::float8 / 1000)
     ON CONFLICT (kind, version) DO NOTHING
     RETURNING ${VERSION_COLUMNS}`,
    [
      ring.holder,
      ring.term,
      ring.base,
      ring.digest,
      JSON.stringify(ring.body),
      ring.createdBy,
      ring.reason,
      ring.notAfterMs,
    ],
  );
  return rows[0] ?? null;
}

/** Inserts config version 1 where there is no config yet. Returns whether this call did it. */
export async function insertInitialConfig(
  db: Queryable,
  config: { digest: string; body: unknown; createdBy: string; reason: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
     SELECT 'config', 1, now(), $1, $2::jsonb, $3, $4
     WHERE NOT EXISTS (SELECT FROM versions WHERE kind = 'config')
     ON CONFLICT (kind, version) DO NOTHING`,
    [config.digest, JSON.stringify(config.body), config.createdBy, config.reason],
  );
  return rowCount === 1;
}

/**
 * Deletes ring versions beyond the newest `keep` that no kept tick names. The highest active one always stays:
 * it is among the newest.
 */
export async function pruneRingVersions(db: Queryable, keep: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM versions v
     WHERE kind = 'ring'
       AND version <= (SELECT max(version) FROM versions WHERE kind = 'ring') - $1
       AND NOT EXISTS (SELECT FROM ticks WHERE ring = v.version)`,
    [keep],
  );
  return rowCount;
}
