import type { Queryable } from "../../core/postgres/database.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { VERSION_COLUMNS } from "../../core/versions/version-store.js";
import type { Cursor } from "./cursor.js";

/** The highest version of each kind, and where the present begins: behind these come the ring and config in force. */
export async function readPresent(db: Queryable): Promise<{ highest: Cursor; start: Cursor }> {
  const { rows } = await db.query<{ ring: number; config: number; ruling: number }>(
    `SELECT (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'ring')::float8 AS ring,
            (SELECT coalesce(max(version), 0) FROM versions WHERE kind = 'config')::float8 AS config,
            (SELECT coalesce(max(version), 1) FROM versions
             WHERE kind = 'config' AND activates_at <= now())::float8 AS ruling`,
  );
  const { ring, config, ruling } = rows[0] ?? { ring: 0, config: 0, ruling: 1 };
  return { highest: { ring, config }, start: { ring: Math.max(0, ring - 1), config: ruling - 1 } };
}

/** What was published after `cursor`: each kind by version, at most `limit` of it. */
export async function readAfter(db: Queryable, cursor: Cursor, limit: number): Promise<VersionDocument[]> {
  const { rows } = await db.query<VersionDocument & Record<string, unknown>>(
    `(SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = 'ring' AND version > $1 ORDER BY versions.version LIMIT $3)
     UNION ALL
     (SELECT ${VERSION_COLUMNS} FROM versions WHERE kind = 'config' AND version > $2 ORDER BY versions.version LIMIT $3)`,
    [cursor.ring, cursor.config, limit],
  );
  return rows;
}
