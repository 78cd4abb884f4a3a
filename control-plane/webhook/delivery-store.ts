import type { Queryable } from "../../core/postgres/database.js";

/** Keeps the id of a message that asked for nothing new. Returns false where it was taken before. */
export async function recordDelivery(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    "INSERT INTO webhook_deliveries (id) VALUES ($1) ON CONFLICT (id) DO NOTHING",
    [id],
  );
  return rowCount === 1;
}

/** Deletes ids older than `keepMs`. */
export async function pruneDeliveries(db: Queryable, keepMs: number): Promise<void> {
  await db.query("DELETE FROM webhook_deliveries WHERE received_at < now() - $1 * interval '1 ms'", [keepMs]);
}
