import type { Queryable } from "../../core/postgres/database.js";

export interface Lease {
  holder: string | null;
  term: number;
  /** Milliseconds from now, by the database's clock; negative where expired. */
  remainingMs: number;
}

/**
 * Takes the lease if it is free or expired: term + 1. Returns the new term, or null where another holds it.
 * Compare-and-set on the database's clock, in one statement. A lease that ends more than two TTLs ahead is of a
 * time before the clock stepped back: a dead holder must not have it for as long as the clock needs to catch up.
 */
export async function acquireLease(db: Queryable, holder: string, ttlMs: number): Promise<number | null> {
  const { rows } = await db.query<{ term: number }>(
    `UPDATE leadership
     SET holder = $1, term = term + 1, expires_at = clock_timestamp() + $2 * interval '1 ms'
     WHERE holder IS NULL OR expires_at <= clock_timestamp()
        OR expires_at > clock_timestamp() + 2 * $2 * interval '1 ms'
     RETURNING term`,
    [holder, ttlMs],
  );
  return rows[0]?.term ?? null;
}

/**
 * Extends the lease of this very term. Returns false where the term has ended. It counts from when Postgres got the
 * statement, however long that waits for the row: a leader that died meanwhile doesn't get a longer one, and a
 * live one trusts its lease no longer either.
 */
export async function renewLease(
  db: Queryable,
  holder: string,
  term: number,
  ttlMs: number,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE leadership SET expires_at = now() + $3 * interval '1 ms'
     WHERE holder = $1 AND term = $2`,
    [holder, term, ttlMs],
  );
  return rowCount === 1;
}

/** Gives the lease back, so that a successor need not wait for its end. */
export async function releaseLease(db: Queryable, holder: string, term: number): Promise<void> {
  await db.query(
    "UPDATE leadership SET holder = NULL, expires_at = '-infinity' WHERE holder = $1 AND term = $2",
    [holder, term],
  );
}

export async function readLease(db: Queryable): Promise<Lease> {
  const { rows } = await db.query<Lease & Record<string, unknown>>(
    `SELECT holder, term, CASE WHEN expires_at = '-infinity' THEN 0
       ELSE (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::float8 END AS "remainingMs"
     FROM leadership`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error("table leadership is empty: the schema is damaged");
  return row;
}
