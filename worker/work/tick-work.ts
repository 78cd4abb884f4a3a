import type { Queryable } from "../../core/postgres/database.js";
import { type Chunk, chunkSlots, fitChunks, rotateChunks } from "../slice/chunks.js";
import type { Slice } from "../slice/slice.js";
import { type ChunkResult, workChunk } from "./chunk-worker.js";
import { FailingRows } from "./failing-rows.js";
import { countRows, hasUnworkedRows, type WorkOrder } from "./work-store.js";

const HANDOVER_POLL_MS = 20;
/** Ticks for which a contended chunk goes around locks straight away instead of waiting for them first. */
const CONTENDED_TICKS = 10;
/** Of a slice never seen before, the rows of this many slots are counted, to know how to cut it. */
const SAMPLED_SLOTS = 32;

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
  /** All chunks were reached, or as many rows were worked as may be, and no statement ran out of time. */
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

/** Slots that one statement works; of rows whose predecessor may be late only those worked at `notBefore` or later. */
interface Part {
  slots: readonly number[];
  /** ISO time; null where nobody is waited for. */
  notBefore: string | null;
}

type PartsOf = (chunk: Chunk) => Part[];

function partsByWaiting(waiting: ReadonlySet<number>, previousTick: string | null): PartsOf {
  return ({ slots }) =>
    waiting.size === 0
      ? [{ slots, notBefore: null }]
      : [
          { slots: slots.filter((slot) => !waiting.has(slot)), notBefore: null },
          { slots: slots.filter((slot) => waiting.has(slot)), notBefore: previousTick },
        ];
}

function isFull({ maxRows }: TickPlan, { rows }: TickOutcome): boolean {
  return maxRows !== null && rows >= maxRows;
}

/** Works one tick of a slice after the other, and remembers between ticks how best to cut and order it. */
export class TickWork {
  readonly #db: Queryable;
  readonly #clock: Clock;
  readonly #onBatch: BatchObserver;
  readonly failing = new FailingRows();
  #ring = "";
  #chunks: Chunk[] = [];
  /** As the last complete tick found it; null before anything is known. */
  #rowsPerSlot: number | null = null;
  #firstSlot: number | null = null;
  #contendedTicks = 0;

  constructor(db: Queryable, clock: Clock, onBatch: BatchObserver) {
    this.#db = db;
    this.#clock = clock;
    this.#onBatch = onBatch;
  }

  async run(plan: TickPlan): Promise<TickOutcome> {
    const startedAt = this.#clock.now();
    await this.#cut(plan.slice);
    const outcome: TickOutcome = {
      rows: 0,
      complete: true,
      handoverWaits: 0,
      contendedChunks: 0,
      failing: [],
    };
    const left = () => plan.budgetMs - (this.#clock.now() - startedAt);
    const waiting = new Set(plan.waiting);
    for (const chunk of this.#chunks) chunk.rows = 0;
    await this.#pass(plan, partsByWaiting(waiting, plan.previousTick), outcome, left);
    if (waiting.size > 0 && outcome.complete) await this.#handOver(plan, waiting, outcome, left, startedAt);
    await this.#retryFailing(plan, outcome);
    // A tick that its bound has ended doesn't tell how many rows there are.
    const sawAll = outcome.complete && !isFull(plan, outcome);
    if (sawAll && plan.slice.slots.length > 0) {
      this.#rowsPerSlot = outcome.rows / plan.slice.slots.length;
    }
    this.#chunks = fitChunks(this.#chunks, sawAll ? this.#rowsPerSlot : null);
    if (outcome.contendedChunks > 0) this.#contendedTicks = CONTENDED_TICKS;
    else if (this.#contendedTicks > 0) this.#contendedTicks -= 1;
    return outcome;
  }

  async #cut(slice: Slice): Promise<void> {
    if (slice.ring.digest === this.#ring) return;
    // One statement over an unknown number of rows might never end in time.
    this.#rowsPerSlot ??= await this.#sampleRowsPerSlot(slice.slots);
    this.#ring = slice.ring.digest;
    this.#chunks = chunkSlots(slice.slots, this.#rowsPerSlot);
    this.failing.keepSlots(new Set(slice.slots));
  }

  async #sampleRowsPerSlot(slots: readonly number[]): Promise<number> {
    const every = Math.max(1, Math.floor(slots.length / SAMPLED_SLOTS));
    const sample = slots.filter((_, index) => index % every === 0);
    return sample.length === 0 ? 0 : (await countRows(this.#db, sample)) / sample.length;
  }

  /** Works the given parts of each chunk, until all were reached or the tick's time or rows run out. */
  async #pass(plan: TickPlan, partsOf: PartsOf, outcome: TickOutcome, left: () => number): Promise<void> {
    for (const chunk of rotateChunks(this.#chunks, this.#firstSlot)) {
      for (const { slots, notBefore } of partsOf(chunk)) {
        if (slots.length === 0) continue;
        const rowsLeft = plan.maxRows === null ? null : plan.maxRows - outcome.rows;
        const isBounded = isFull(plan, outcome);
        const isOver = isBounded || left() <= 0;
        const result = isOver ? null : await this.#work(plan, slots, notBefore, outcome, rowsLeft);
        if (result !== null) chunk.rows = result.timedOut ? null : (chunk.rows ?? 0) + result.rows;
        if (result !== null && !result.timedOut) continue;
        // The next tick starts here, so that no tail starves.
        this.#firstSlot = chunk.slots[0] ?? 0;
        if (!isBounded) outcome.complete = false;
        return;
      }
    }
    this.#firstSlot = null;
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
    waiting: ReadonlySet<number>,
    outcome: TickOutcome,
    left: () => number,
    startedAt: number,
  ): Promise<void> {
    const goesOn = () => outcome.complete && !isFull(plan, outcome);
    while (goesOn() && (await hasUnworkedRows(this.#db, plan.waiting, plan.order.tick))) {
      outcome.handoverWaits += 1;
      const patient = this.#clock.now() - startedAt < plan.handoverMs;
      if (patient) await this.#clock.sleep(HANDOVER_POLL_MS);
      const notBefore = patient ? plan.previousTick : null;
      const arriving = (chunk: Chunk) => [{ slots: chunk.slots.filter((s) => waiting.has(s)), notBefore }];
      await this.#pass(plan, arriving, outcome, left);
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
