import type { Queryable } from "../postgres/database.js";

/** Postgres's clock, epoch ms, at some moment between the question and the answer. */
export async function readDatabaseTime(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: number }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now",
  );
  return rows[0]?.now ?? 0;
}
