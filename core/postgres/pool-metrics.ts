import { Gauge, type Registry } from "prom-client";
import type { Database } from "./database.js";

/** Connections of this process's pool, by use. */
export function registerPoolMetrics(registry: Registry, db: Database): void {
  new Gauge({
    name: "ringfleet_pg_pool_connections",
    help: "Connections of the pool by state; waiting counts callers without one.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const { total, idle, waiting } = db.connections();
      this.set({ state: "busy" }, total - idle);
      this.set({ state: "idle" }, idle);
      this.set({ state: "waiting" }, waiting);
    },
  });
}
