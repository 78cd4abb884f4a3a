import type { Queryable } from "../../core/postgres/database.js";
import type { RingSnapshot } from "../../core/ring/view.js";
import { readNewestVersions } from "../../core/versions/version-store.js";

/** The version of the highest ring view, sealed by a tick or not yet, if it seats this incarnation; else null. */
export async function seatedByNewest(db: Queryable, incarnation: number): Promise<number | null> {
  const [newest] = await readNewestVersions(db, "ring", 1);
  const view = newest?.body as RingSnapshot["view"] | undefined;
  const isSeated = view?.seats.some((seat) => seat.incarnation === incarnation) ?? false;
  return isSeated ? (newest?.version ?? null) : null;
}
