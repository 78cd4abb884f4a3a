import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../core/postgres/database.js";
import { type OpenSnapshot, readOldestSnapshot } from "./snapshot-store.js";

const LOOK_MS = 5000;
/** Every row gets a new version at each tick, and none of them can be removed while a snapshot is this old. */
const OLD_MS = 30_000;

/**
 * Watches for transactions that hold a snapshot for long (pg_dump, a forgotten psql session): ticks go on, but
 * the table grows by a version of each row a tick.
 */
export class SnapshotWatch {
  readonly #db: Queryable;
  readonly #log: Logger;
  #oldest: OpenSnapshot | null = null;
  #isAnnounced = false;

  constructor(db: Queryable, registry: Registry, log: Logger) {
    this.#db = db;
    this.#log = log;
    const oldest = () => this.#oldest;
    new Gauge({
      name: "ringfleet_oldest_snapshot_age_seconds",
      help: "Age of the oldest transaction that keeps Postgres from removing dead row versions.",
      registers: [registry],
      collect() {
        this.set((oldest()?.ageMs ?? 0) / 1000);
      },
    });
  }

  /** One look. Returns the milliseconds until the next. */
  async step(): Promise<number> {
    this.#oldest = await readOldestSnapshot(this.#db);
    const isOld = this.#oldest !== null && this.#oldest.ageMs >= OLD_MS;
    if (isOld && !this.#isAnnounced) this.#log.warn(this.#oldest ?? {}, this.#words());
    if (!isOld && this.#isAnnounced) this.#log.info("no old snapshot is held any more");
    this.#isAnnounced = isOld;
    return LOOK_MS;
  }

  #words(): string {
    const { holder, pid, ageMs } = this.#oldest ?? { holder: "", pid: null, ageMs: 0 };
    const who = pid === null ? `prepared transaction ${holder}` : `session ${pid} (${holder || "unnamed"})`;
    return (
      `${who} has held a snapshot for ${Math.round(ageMs / 1000)} s: work_items grows by one version of each row ` +
      "a tick until it ends"
    );
  }
}
