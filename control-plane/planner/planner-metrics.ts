import { Counter, Gauge, type Registry } from "prom-client";

/** Every replica shows these; counts grow on the one that leads. */
export class PlannerMetrics {
  readonly #members: Gauge<"state">;
  readonly #imbalance: Gauge;
  readonly #rowsMoved: Counter;
  readonly #ringChanges: Counter<"reason">;
  readonly #ringVersion: Gauge;
  readonly #planSeconds: Gauge;
  readonly #refused: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#members = new Gauge({
      name: "ringfleet_members",
      help: "Workers by state, as this replica sees them.",
      labelNames: ["state"],
      registers,
    });
    this.#imbalance = new Gauge({
      name: "ringfleet_imbalance_ratio",
      help: "Rows of the fullest seat over its quota, by the newest count of the table.",
      registers,
    });
    this.#rowsMoved = new Counter({
      name: "ringfleet_rows_moved_total",
      help: "Rows that changed their worker by a published ring view.",
      registers,
    });
    this.#ringChanges = new Counter({
      name: "ringfleet_ring_changes_total",
      help: "Ring views published by this replica, by reason.",
      labelNames: ["reason"],
      registers,
    });
    this.#ringVersion = new Gauge({
      name: "ringfleet_ring_version",
      help: "Highest ring version that this replica knows.",
      registers,
    });
    this.#planSeconds = new Gauge({
      name: "ringfleet_plan_duration_seconds",
      help: "Time that the last plan took to compute.",
      registers,
    });
    this.#refused = new Counter({
      name: "ringfleet_fenced_writes_total",
      help: "Publishes that Postgres refused, because the term had ended or another version was first.",
      registers,
    });
  }

  members(counts: Record<string, number>): void {
    for (const [state, count] of Object.entries(counts)) this.#members.set({ state }, count);
  }

  imbalance(ratio: number): void {
    this.#imbalance.set(ratio);
  }

  published(reason: string, rowsMoved: number): void {
    this.#ringChanges.inc({ reason });
    this.#rowsMoved.inc(rowsMoved);
  }

  version(version: number): void {
    this.#ringVersion.set(version);
  }

  planned(ms: number): void {
    this.#planSeconds.set(ms / 1000);
  }

  refused(): void {
    this.#refused.inc();
  }
}
