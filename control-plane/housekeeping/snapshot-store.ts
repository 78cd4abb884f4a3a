import type { Queryable } from "../../core/postgres/database.js";

export interface OpenSnapshot {
  /** application_name of the session, or the global id of a prepared transaction. */
  holder: string;
  pid: number | null;
  /** Milliseconds since its transaction began. */
  ageMs: number;
}

/**
 * The transaction of this database that has longest kept Postgres from removing dead row versions, or null.
 * Sessions of other roles count only where this role may see them (GRANT pg_read_all_stats).
 */
export async function readOldestSnapshot(db: Queryable): Promise<OpenSnapshot | null> {
  const { rows } = await db.query<OpenSnapshot & Record<string, unknown>>(
    `SELECT holder, pid, (extract(epoch FROM clock_timestamp() - began) * 1000)::float8 AS "ageMs"
     FROM (
       SELECT application_name AS holder, pid, xact_start AS began FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
       UNION ALL
       SELECT gid, NULL, prepared FROM pg_prepared_xacts WHERE database = current_database()
     ) AS open
     WHERE began IS NOT NULL ORDER BY began LIMIT 1`,
  );
  return rows[0] ?? null;
}
