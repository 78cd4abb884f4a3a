/** More failing rows than this are reported, but no longer told apart: their chunks are bisected every tick. */
const MAX_TOLD_APART = 1000;
/** Each try is a statement of its own: more of them in one tick would take its time from the other rows. */
const MAX_TRIES_AT_ONCE = 20;

/** Rows whose write raises (a CHECK, a trigger): left out of their chunks and tried alone now and then. */
export class FailingRows {
  readonly #rows = new Map<string, { slot: number; error: string; retryAt: number }>();
  readonly #retryMs: number;

  constructor(retryMs = 10_000) {
    this.#retryMs = retryMs;
  }

  /** Returns whether the row is new here. */
  add(id: string, slot: number, error: string, now: number): boolean {
    const isNew = !this.#rows.has(id);
    if (!isNew || this.#rows.size < MAX_TOLD_APART) {
      this.#rows.set(id, { slot, error, retryAt: now + this.#retryMs });
    }
    return isNew;
  }

  /** Forgets rows outside `slots`: another worker's now. */
  keepSlots(slots: ReadonlySet<number>): void {
    for (const [id, row] of this.#rows) if (!slots.has(row.slot)) this.#rows.delete(id);
  }

  /** Rows that are due for another try, each by itself: up to 20, in the order in which they failed. */
  due(now: number): { id: string; slot: number }[] {
    return [...this.#rows]
      .filter(([, row]) => row.retryAt <= now)
      .slice(0, MAX_TRIES_AT_ONCE)
      .map(([id, row]) => ({ id, slot: row.slot }));
  }

  delete(id: string): void {
    this.#rows.delete(id);
  }

  get ids(): string[] {
    return [...this.#rows.keys()];
  }

  get size(): number {
    return this.#rows.size;
  }
}
