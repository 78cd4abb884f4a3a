import type { Queryable } from "../../core/postgres/database.js";
import { type Chunk, chunkSlots, rotateChunks, splitChunks } from "../slice/chunks.js";
import type { Slice } from "../slice/slice.js";
import { type ChunkResult, workChunk } from "./chunk-worker.js";
import { FailingRows } from "./failing-rows.js";
import { hasUnworkedRows, type WorkOrder } from "./work-store.js";

const HANDOVER_POLL_MS = 20;
/** Ticks for which a contended chunk goes around locks straight away instead of waiting for them first. */
const CONTENDED_TICKS = 10;

export interface TickPlan {
  slice: Slice;
  /** Slots whose predecessor may still be finishing the tick before; a subset of the slice. */
  waiting: readonly number[];
  order: Omit<WorkOrder, "excludedIds">;
  /** ISO time of the sealed tick before this; null without one. */
  previousTick: string | null;
  /** Milliseconds left until the handover is waited for no longer, and until the tick can't be worked any more. */
  handoverMs: number;
  budgetMs: number;
  /** At most this many rows in this tick; null for no bound. */
  maxRows: number | null;
}

export interface TickOutcome {
  rows: number;
  /** All chunks were reached and no statement ran out of time. */
  complete: boolean;
  /** Slots taken over late, because their predecessor was late with the tick before. */
  handoverWaits: number;
  contendedChunks: number;
  failing: { id: string; error: string }[];
}

interface Clock {
  /** Monotonic ms. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export type BatchObserver = (rows: number, durationMs: number) => void;

/** Works one tick of a slice after the other, and remembers between ticks how best to cut and order it. */
export class TickWork {
  readonly #db: Queryable;
  readonly #clock: Clock;
  readonly #onBatch: BatchObserver;
  readonly failing = new FailingRows();
  #ring = "";
  #chunks: Chunk[] = [];
  #rowsPerSlot = 0;
  #firstSlot: number | null = null;
  #contendedTicks = 0;

  constructor(db: Queryable, clock: Clock, onBatch: BatchObserver) {
    this.#db = db;
    this.#clock = clock;
    this.#onBatch = onBatch;
  }

  async run(plan: TickPlan): Promise<TickOutcome> {
    this.#cut(plan.slice);
    const startedAt = this.#clock.now();
    const outcome: TickOutcome = {
      rows: 0,
      complete: true,
      handoverWaits: 0,
      contendedChunks: 0,
      failing: [],
    };
    const left = () => plan.budgetMs - (this.#clock.now() - startedAt);
    const waiting = new Set(plan.waiting);
    const overrunAt = await this.#workChunks(plan, waiting, outcome, left);
    this.#firstSlot = overrunAt;
    outcome.complete = overrunAt === null;
    if (waiting.size > 0 && outcome.complete) await this.#handOver(plan, outcome, left, startedAt);
    await this.#retryFailing(plan, outcome);
    this.#chunks = splitChunks(this.#chunks);
    if (outcome.complete && plan.slice.slots.length > 0) {
      this.#rowsPerSlot = outcome.rows / plan.slice.slots.length;
    }
    if (outcome.contendedChunks > 0) this.#contendedTicks = CONTENDED_TICKS;
    else if (this.#contendedTicks > 0) this.#contendedTicks -= 1;
    return outcome;
  }

  #cut(slice: Slice): void {
    if (slice.ring.digest === this.#ring) return;
    this.#ring = slice.ring.digest;
    this.#chunks = chunkSlots(slice.slots, this.#rowsPerSlot);
    this.failing.keepSlots(new Set(slice.slots));
  }

  /** Returns the slot at which the tick's time or rows ran out, null where all were reached. */
  async #workChunks(
    plan: TickPlan,
    waiting: ReadonlySet<number>,
    outcome: TickOutcome,
    left: () => number,
  ): Promise<number | null> {
    for (const chunk of rotateChunks(this.#chunks, this.#firstSlot)) {
      const rowsLeft = plan.maxRows === null ? null : plan.maxRows - outcome.rows;
      const first = chunk.slots[0] ?? 0;
      if (left() <= 0 || (rowsLeft !== null && rowsLeft <= 0)) return first;
      const ready = chunk.slots.filter((slot) => !waiting.has(slot));
      const arriving = waiting.size === 0 ? [] : chunk.slots.filter((slot) => waiting.has(slot));
      chunk.rows = 0;
      for (const [slots, notBefore] of [
        [ready, null],
        [arriving, plan.previousTick],
      ] as const) {
        if (slots.length === 0) continue;
        const result = await this.#work(plan, slots, notBefore, outcome, rowsLeft);
        chunk.rows += result.rows;
        if (result.timedOut) return first;
      }
    }
    return null;
  }

  async #work(
    plan: TickPlan,
    slots: readonly number[],
    notBefore: string | null,
    outcome: TickOutcome,
    limit: number | null,
  ): Promise<ChunkResult> {
    const startedAt = this.#clock.now();
    const scope = {
      slots,
      ...(notBefore === null ? {} : { notBefore }),
      ...(limit === null ? {} : { limit }),
      ...(this.#contendedTicks > 0 ? { skipLocked: true } : {}),
    };
    const order = { ...plan.order, excludedIds: [] };
    const result = await workChunk(this.#db, order, scope, this.failing, () => this.#clock.now());
    this.#onBatch(result.rows, this.#clock.now() - startedAt);
    outcome.rows += result.rows;
    outcome.failing.push(...result.failing);
    if (result.contended) outcome.contendedChunks += 1;
    return result;
  }

  /**
   * A predecessor who is late with the tick before isn't overtaken (it would lose that tick) until half of
   * this tick is over.
   */
  async #handOver(
    plan: TickPlan,
    outcome: TickOutcome,
    left: () => number,
    startedAt: number,
  ): Promise<void> {
    while (await hasUnworkedRows(this.#db, plan.waiting, plan.order.tick)) {
      outcome.handoverWaits += 1;
      const patient = this.#clock.now() - startedAt < plan.handoverMs;
      if (patient) await this.#clock.sleep(HANDOVER_POLL_MS);
      if (left() <= 0) {
        outcome.complete = false;
        return;
      }
      await this.#work(plan, plan.waiting, patient ? plan.previousTick : null, outcome, null);
      if (!patient) return;
    }
  }

  async #retryFailing(plan: TickPlan, outcome: TickOutcome): Promise<void> {
    for (const { id, slot } of this.failing.due(this.#clock.now())) {
      this.failing.delete(id);
      const order = { ...plan.order, excludedIds: [] };
      const scope = { slots: [slot], ids: [id], skipLocked: true };
      const result = await workChunk(this.#db, order, scope, this.failing, () => this.#clock.now());
      outcome.rows += result.rows;
    }
  }
}
