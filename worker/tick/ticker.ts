import type { Logger } from "pino";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import type { OpenedTick, SealedTick } from "../../core/ticks/sealed-tick.js";
import { openTick } from "../../core/ticks/tick-store.js";
import type { DatabaseClock } from "../../core/time/database-clock.js";
import type { Config } from "../../core/versions/config.js";
import { UnprovenVersionError, type VersionFollower } from "../../core/versions/version-follower.js";
import { type Slice, splitAcquired } from "../slice/slice.js";
import type { TickOutcome, TickPlan, TickWork } from "../work/tick-work.js";
import { checkProof } from "../work/work-store.js";
import { rowBudget } from "./row-budget.js";
import type { TickMetrics } from "./tick-metrics.js";

/** A tick may be worked until this long after the next one has opened. */
const EXTRA_LAG_MS = 500;
/** How often a worker looks for its first config, its first ring view, or a clock that catches up. */
const IDLE_MS = 250;
/** A tick whose documents can't be proven is tried again this often: they may still come. */
const UNPROVEN_MS = 100;
/** Opening a tick never takes long, however long the tick: a connection that is dead must be given up soon. */
const OPEN_LIMIT_MS = 2500;
/** Long ticks are waited for in steps: liveness sees the loop, and a new config or a stepped clock is noticed. */
const LOOK_MS = 1000;

export interface TickSession extends Queryable {
  setStatementTimeout(ms: number): Promise<void>;
}

export interface TickerOptions {
  session: TickSession;
  follower: VersionFollower;
  clock: DatabaseClock;
  work: TickWork;
  metrics: TickMetrics;
  log: Logger;
  worker: string;
  incarnation: number;
  /** Milliseconds that never step. */
  monotonicNow: () => number;
  onTick: (progress: Progress) => void;
}

/** Where a worker stands after its newest tick. */
export interface Progress {
  tickMs: number;
  rows: number;
  seated: boolean;
  slice: Slice;
  config: { version: number; digest: string };
}

/**
 * A worker's ticks, one `step` after the other:
 *
 *   open ──▶ nothing sealed (no config, no view) ──▶ wait
 *     │  └─▶ already handled ──▶ wait until the next boundary
 *     ▼
 *   follow (ring and config that the sealed tick names) ──▶ work the slice ──▶ report
 */
export class Ticker {
  readonly #options: TickerOptions;
  #handled: SealedTick | null = null;
  #waitsFor: string | null = null;
  /** The document for whose sake nothing is worked, in words; null while all is proven. */
  #unproven: string | null = null;
  #refusedTick: number | null = null;
  #statementLimitMs = 0;

  constructor(options: TickerOptions) {
    this.#options = options;
  }

  /** What keeps this worker from working, in words for a person; null while it works. */
  get waitsFor(): string | null {
    return this.#waitsFor;
  }

  /** Opens and works the tick of this moment. Returns the milliseconds until the next step. */
  async step(): Promise<number> {
    const { session, clock, monotonicNow } = this.#options;
    if (this.#statementLimitMs > OPEN_LIMIT_MS) await this.#limitStatements(OPEN_LIMIT_MS);
    const sentAt = monotonicNow();
    const opened = await openTick(session);
    this.#observeClock(clock.observe(opened.databaseNowMs, sentAt), opened);
    if (opened.newest === null) return this.#idle(opened);
    if (this.#handled !== null && opened.newest.tickMs <= this.#handled.tickMs)
      return this.#untilNext(opened);
    try {
      await this.#handle(opened.newest, opened.previous, opened.databaseNowMs);
    } catch (error) {
      if (!(error instanceof UnprovenVersionError)) throw error;
      return this.#refuse(opened.newest, error);
    }
    this.#proven();
    this.#waiting(null);
    return this.#untilNext(opened);
  }

  /** What can't be proven isn't worked: told once for each document, counted once a tick. */
  #refuse(tick: SealedTick, error: UnprovenVersionError): number {
    const { metrics, log } = this.#options;
    if (this.#refusedTick !== tick.tickMs) metrics.tick("refused");
    this.#refusedTick = tick.tickMs;
    metrics.unproven(true);
    const { kind, version } = error;
    const document = `${kind} ${version}`;
    if (this.#unproven !== document) {
      const details = { event: "unproven", kind, version, tick: new Date(tick.tickMs).toISOString() };
      log.error(details, `nothing is worked until ${document} can be proven: ${reasonOf(error)}`);
    }
    this.#unproven = document;
    this.#waitsFor = `${document} to be proven: ${reasonOf(error)}`;
    return UNPROVEN_MS;
  }

  #proven(): void {
    if (this.#unproven === null) return;
    this.#options.metrics.unproven(false);
    this.#options.log.info(
      { event: "proven" },
      `at work again: ${this.#unproven} no longer stands in the way`,
    );
    this.#unproven = null;
  }

  #untilNext(opened: OpenedTick): number {
    const behindMs = (opened.newest?.tickMs ?? 0) - opened.databaseNowMs;
    if (behindMs > 0) return Math.min(IDLE_MS, behindMs);
    const nextMs = opened.nextTickMs ?? opened.databaseNowMs + IDLE_MS;
    return Math.min(LOOK_MS, Math.max(1, this.#options.clock.msUntil(nextMs)));
  }

  #idle(opened: OpenedTick): number {
    this.#waiting(
      opened.nextTickMs === null
        ? "a config: make the initial one with `ringfleet config default`"
        : "a ring view from the control plane",
    );
    return IDLE_MS;
  }

  #waiting(what: string | null): void {
    if (what !== null && what !== this.#waitsFor) this.#options.log.info(`waiting for ${what}`);
    this.#waitsFor = what;
  }

  #observeClock(stepMs: number, opened: OpenedTick): void {
    const { metrics, log } = this.#options;
    const behindMs = Math.max(0, (opened.newest?.tickMs ?? 0) - opened.databaseNowMs);
    metrics.clockBehindMs(behindMs);
    if (stepMs === 0) return;
    metrics.clockStepped();
    log.warn(
      { stepMs: Math.round(stepMs) },
      `Postgres's clock stepped by ${Math.round(stepMs)} ms` +
        (behindMs > 0 ? `: no tick opens for ${Math.ceil(behindMs / 1000)} s, until it has caught up` : ""),
    );
  }

  async #handle(tick: SealedTick, previous: SealedTick | null, databaseNowMs: number): Promise<void> {
    const { follower, incarnation, metrics, onTick } = this.#options;
    const config = await this.#followed(() => follower.config(tick.config, tick.configDigest));
    const ring = await this.#followed(() => follower.ring(tick.ring, tick.ringDigest));
    const slice: Slice = { ring, slots: ring.slotsOf(incarnation) };
    metrics.versions(tick.ring, tick.config, slice.slots.length);
    this.#countMissed(tick, config, slice);
    if (databaseNowMs - tick.tickMs > config.tickMs / 10) metrics.openedLate();
    let rows = 0;
    if (slice.slots.length > 0 && !config.paused) {
      await this.#limitStatements(config.tickMs + EXTRA_LAG_MS);
      rows = await this.#work(tick, previous, config, slice, databaseNowMs);
    } else {
      metrics.tick("done");
      metrics.worked(0, 0, 0, 0);
    }
    // Only now: a tick that an error cut short is tried again while it is young.
    this.#handled = tick;
    onTick({
      tickMs: tick.tickMs,
      rows,
      seated: ring.seatOf(incarnation) !== null,
      slice,
      config: { version: tick.config, digest: tick.configDigest },
    });
  }

  async #limitStatements(ms: number): Promise<void> {
    this.#statementLimitMs = ms;
    await this.#options.session.setStatementTimeout(ms);
  }

  /** What hints brought is believed only as far as its digest goes; Postgres has the last word. */
  async #followed<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof UnprovenVersionError)) throw error;
      this.#options.metrics.digestMismatch();
      this.#options.follower.distrustHints();
      return await read();
    }
  }

  /** Ticks that were sealed or could have been since the last one handled, while this worker had a slice. */
  #countMissed(tick: SealedTick, config: Config, slice: Slice): void {
    if (this.#handled === null || slice.slots.length === 0) return;
    const gapMs = tick.tickMs - this.#handled.tickMs;
    const missed = Math.round(gapMs / config.tickMs) - 1;
    if (missed > 0 && tick.config === this.#handled.config) this.#options.metrics.tick("missed", missed);
  }

  async #work(
    tick: SealedTick,
    previous: SealedTick | null,
    config: Config,
    slice: Slice,
    databaseNowMs: number,
  ): Promise<number> {
    const { work, metrics, worker, incarnation, log } = this.#options;
    const ageMs = databaseNowMs - tick.tickMs;
    const allowedLagMs = config.tickMs + EXTRA_LAG_MS;
    const plan: TickPlan = {
      slice,
      waiting: await this.#waitingSlots(previous, slice, databaseNowMs, incarnation),
      order: {
        worker,
        tick: new Date(tick.tickMs).toISOString(),
        increment: config.increment,
        ringDigest: tick.ringDigest,
        configDigest: tick.configDigest,
        allowedLagMs,
      },
      previousTick: previous === null ? null : new Date(previous.tickMs).toISOString(),
      handoverMs: config.tickMs / 2 - ageMs,
      budgetMs: allowedLagMs - ageMs,
      maxRows: rowBudget(config.maxRowsPerSecond, tick.tickMs, config.tickMs),
    };
    const outcome = await work.run(plan);
    metrics.worked(outcome.rows, outcome.handoverWaits, outcome.contendedChunks, work.failing.size);
    for (const { id, error } of outcome.failing) log.error({ id }, `row ${id} is left out: ${error}`);
    metrics.tick(await this.#resultOf(plan, outcome));
    return outcome.rows;
  }

  /** A tick without any row may be a refused one: Postgres says which. */
  async #resultOf(plan: TickPlan, outcome: TickOutcome): Promise<"done" | "late" | "refused"> {
    if (outcome.rows === 0) {
      const proof = await checkProof(this.#options.session, { ...plan.order, excludedIds: [] });
      if (!proof.sealed || !proof.young) this.#options.metrics.fenced();
      if (!proof.sealed) return "refused";
      if (!proof.young) return "late";
    }
    return outcome.complete ? "done" : "late";
  }

  async #waitingSlots(
    previous: SealedTick | null,
    slice: Slice,
    databaseNowMs: number,
    incarnation: number,
  ): Promise<number[]> {
    const { follower, log } = this.#options;
    if (previous === null) return [];
    try {
      // A statement that begins in the last moment of its tick's lag may run for as long once more.
      const { tickMs } = await follower.config(previous.config, previous.configDigest);
      if (databaseNowMs - previous.tickMs > 2 * (tickMs + EXTRA_LAG_MS)) return [];
      const before = await follower.ring(previous.ring, previous.ringDigest);
      return splitAcquired(slice, before, incarnation).waiting;
    } catch (error) {
      // Without the view before, every slot may have a predecessor who is late: wait for all of them.
      log.warn(`the ring view before this one can't be read: ${reasonOf(error)}`);
      return [...slice.slots];
    }
  }
}
