/** Ticks sealed this long after a newcomer said goodbye can't seat it any more. */
const UNSEATED_GRACE_MS = 1000;

interface Timers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/**
 * When a leaving worker may end: once a tick is sealed under a view without it.
 *
 *   working ──begin──▶ leaving ──tick without a seat──▶ done
 */
export class Drain {
  readonly #now: () => number;
  readonly #seatedByNewest: () => Promise<number | null>;
  readonly #timers: Timers;
  readonly #resolvers: (() => void)[] = [];
  #begunAt: number | null = null;
  #wasSeated = false;
  /** Version of a view that seats us, found before any tick was sealed with it. */
  #seatedBy = 0;
  #isDone = false;

  /**
   * `seatedByNewest` asks Postgres for the newest view's version if it seats us, else null: with long ticks that
   * shows long before a tick is sealed with it.
   */
  constructor(now: () => number, seatedByNewest: () => Promise<number | null>, timers: Timers = globalThis) {
    this.#now = now;
    this.#seatedByNewest = seatedByNewest;
    this.#timers = timers;
  }

  get begun(): boolean {
    return this.#begunAt !== null;
  }

  begin(seated: boolean): void {
    this.#begunAt ??= this.#now();
    this.#wasSeated ||= seated;
  }

  /** A tick was sealed with version `ring`, with or without a seat for us. */
  sawTick(seated: boolean, ring: number): void {
    if (this.#begunAt === null) return;
    this.#wasSeated ||= seated;
    if (seated || ring < this.#seatedBy) return;
    const surely = this.#wasSeated || this.#now() - this.#begunAt > UNSEATED_GRACE_MS;
    if (surely) this.#finish();
  }

  /** Resolves true when handed over; false after `timeoutMs`. A worker that never sat waits a moment only. */
  done(timeoutMs: number): Promise<boolean> {
    if (this.#isDone) return Promise.resolve(true);
    return new Promise((resolve) => {
      const graceMs = this.#wasSeated ? timeoutMs : Math.min(timeoutMs, 2 * UNSEATED_GRACE_MS);
      let timer: unknown;
      const graceIsOver = async () => {
        const leftMs = timeoutMs - graceMs;
        // A view that was on its way at our goodbye may seat us only now: then it is worked like any other.
        if (!this.#wasSeated) this.#seatedBy = (await this.#seatedByNewest().catch(() => null)) ?? 0;
        if (this.#isDone) return;
        this.#wasSeated ||= this.#seatedBy > 0;
        if (!this.#wasSeated || leftMs === 0) resolve(!this.#wasSeated);
        else timer = this.#timers.setTimeout(() => resolve(false), leftMs);
      };
      timer = this.#timers.setTimeout(() => void graceIsOver(), graceMs);
      this.#resolvers.push(() => {
        this.#timers.clearTimeout(timer);
        resolve(true);
      });
    });
  }

  #finish(): void {
    this.#isDone = true;
    for (const resolve of this.#resolvers.splice(0)) resolve();
  }
}
