import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type TickResult = "done" | "late" | "missed" | "refused";

/** Metrics of a worker's ticks. */
export class TickMetrics {
  readonly #rowsWorked: Counter;
  readonly #ticks: Counter<"result">;
  readonly #openedLate: Counter;
  readonly #handoverWaits: Counter;
  readonly #digestMismatches: Counter;
  readonly #unproven: Gauge;
  readonly #batchSeconds: Histogram;
  readonly #fencedWrites: Counter;
  readonly #skippedRows: Gauge<"reason">;
  readonly #contended: Counter;
  readonly #clockSteps: Counter;
  readonly #clockStepBack: Gauge;
  readonly #sliceRows: Gauge;
  readonly #sliceSlots: Gauge;
  readonly #version: Record<"ring" | "config", Gauge>;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    this.#rowsWorked = counter("ringfleet_rows_worked_total", "Rows worked, one per row and tick.");
    this.#ticks = new Counter({
      name: "ringfleet_ticks_total",
      help: "Ticks by result: done; late (not all rows within the tick's time); missed (not worked at all); refused (the proof did not stand).",
      labelNames: ["result"],
      registers,
    });
    this.#openedLate = counter(
      "ringfleet_ticks_opened_late_total",
      "Ticks that this worker reached later than a tenth of a tick after their boundary.",
    );
    this.#handoverWaits = counter(
      "ringfleet_handover_waits_total",
      "Polls for rows whose predecessor was late with the tick before.",
    );
    this.#digestMismatches = counter(
      "ringfleet_digest_mismatches_total",
      "Documents that could not be had or read, or gave another digest than the sealed tick names.",
    );
    this.#unproven = gauge(
      "ringfleet_unproven",
      "1 while this worker works nothing because it can't prove that it holds the sealed ring and config.",
    );
    this.#batchSeconds = new Histogram({
      name: "ringfleet_batch_duration_seconds",
      help: "Duration of one work statement.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    });
    this.#fencedWrites = counter(
      "ringfleet_fenced_writes_total",
      "Work statements that Postgres refused to let write, because the proof did not stand or the tick was too old.",
    );
    this.#skippedRows = new Gauge({
      name: "ringfleet_failing_rows",
      help: "Rows left out because their write raises.",
      labelNames: ["reason"],
      registers,
    });
    this.#contended = counter(
      "ringfleet_contended_chunks_total",
      "Chunks in which rows were locked by somebody else for longer than lock_timeout.",
    );
    this.#clockSteps = counter(
      "ringfleet_database_clock_steps_total",
      "Steps of Postgres's clock of more than a second.",
    );
    this.#clockStepBack = gauge(
      "ringfleet_database_clock_step_back_seconds",
      "By how much Postgres's clock is behind the newest sealed tick; no tick opens until it has caught up.",
    );
    this.#sliceRows = gauge("ringfleet_slice_rows", "Rows worked in the newest finished tick.");
    this.#sliceSlots = gauge("ringfleet_slice_slots", "Slots of this worker's slice.");
    this.#version = {
      ring: gauge("ringfleet_ring_version", "Ring version sealed for the newest tick."),
      config: gauge("ringfleet_config_version", "Config version sealed for the newest tick."),
    };
    for (const result of ["done", "late", "missed", "refused"] as const) this.#ticks.inc({ result }, 0);
  }

  tick(result: TickResult, count = 1): void {
    this.#ticks.inc({ result }, count);
  }

  openedLate(): void {
    this.#openedLate.inc();
  }

  batch(rows: number, durationMs: number): void {
    this.#rowsWorked.inc(rows);
    this.#batchSeconds.observe(durationMs / 1000);
  }

  worked(rows: number, handoverWaits: number, contendedChunks: number, failingRows: number): void {
    this.#sliceRows.set(rows);
    this.#handoverWaits.inc(handoverWaits);
    this.#contended.inc(contendedChunks);
    this.#skippedRows.set({ reason: "failing" }, failingRows);
  }

  versions(ring: number, config: number, slots: number): void {
    this.#version.ring.set(ring);
    this.#version.config.set(config);
    this.#sliceSlots.set(slots);
  }

  digestMismatch(): void {
    this.#digestMismatches.inc();
  }

  unproven(isUnproven: boolean): void {
    this.#unproven.set(isUnproven ? 1 : 0);
  }

  fenced(): void {
    this.#fencedWrites.inc();
  }

  clockStepped(): void {
    this.#clockSteps.inc();
  }

  clockBehindMs(ms: number): void {
    this.#clockStepBack.set(ms / 1000);
  }
}
