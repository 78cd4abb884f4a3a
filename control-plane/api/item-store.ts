import type { Queryable } from "../../core/postgres/database.js";
import { slotOf } from "../../core/ring/slots.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface StoredItem {
  id: string;
  slot: number;
  value: number;
  lasttick: string | null;
  currentworker: string | null;
}

/** A row of work_items by its id as text, or null where there is none. */
export async function readItem(db: Queryable, idText: string): Promise<StoredItem | null> {
  // Postgres has no such text, and would refuse to compare it.
  if (idText.includes("\0")) return null;
  const id = UUID.test(idText) ? idText.toLowerCase() : idText;
  const { rows } = await db.query<StoredItem & Record<string, unknown>>(
    `SELECT id::text AS id, slot, value, currentworker,
       CASE WHEN lasttick > '-infinity' THEN to_char(lasttick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END AS lasttick
     FROM work_items WHERE slot = $1 AND id::text = $2`,
    [slotOf(id), id],
  );
  return rows[0] ?? null;
}
