/**
 * Estimates Postgres's clock from the replies that carry it. Only *when to wake* depends on it, never
 * correctness. `monotonicNow` counts milliseconds, so that a stepped process clock changes nothing.
 */
export class DatabaseClock {
  readonly #monotonicNow: () => number;
  #offsetMs: number | null = null;

  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  /**
   * A reply that was asked for at `sentAt` (monotonic) and carried the database's clock while answering.
   * The newest reply wins: a step of Postgres's clock shows at once. Returns by how much the clock stepped
   * against the estimate, in ms, beyond what the round trip explains; 0 where it did not.
   */
  observe(databaseNowMs: number, sentAt: number): number {
    const receivedAt = this.#monotonicNow();
    const offset = databaseNowMs - (sentAt + receivedAt) / 2;
    const previous = this.#offsetMs;
    this.#offsetMs = offset;
    if (previous === null) return 0;
    const step = offset - previous;
    const explained = (receivedAt - sentAt) / 2 + 1;
    return Math.abs(step) <= explained + 1000 ? 0 : step;
  }

  /** Milliseconds from now until the database's clock shows `databaseMs`; 0 where past or unknown. */
  msUntil(databaseMs: number): number {
    if (this.#offsetMs === null) return 0;
    return Math.max(0, databaseMs - (this.#monotonicNow() + this.#offsetMs));
  }

  /** The estimate, epoch milliseconds, or null before the first reply. */
  now(): number | null {
    return this.#offsetMs === null ? null : this.#monotonicNow() + this.#offsetMs;
  }
}
