import { performance } from "node:perf_hooks";

/** Milliseconds that never step back or jump with the process's clock. */
export const monotonicNow = (): number => performance.now();

export interface LoopOptions {
  /** Does one round and returns the milliseconds until the next. */
  step: (signal: AbortSignal) => Promise<number>;
  /** A round failed; the next comes after a backoff of 50 ms up to `maxBackoffMs`, jittered. */
  onError: (error: unknown) => void;
  maxBackoffMs?: number;
  now?: () => number;
  random?: () => number;
}

/**
 * Runs an async step again and again. It never overlaps itself.
 *
 *   idle ──start──▶ running ──step done──▶ waiting ──time or wake──▶ running
 *                      └──────────stop──────▶ stopped ◀──stop──┘
 */
export class Loop {
  readonly #options: Required<LoopOptions>;
  readonly #abort = new AbortController();
  #running: Promise<void> | null = null;
  #interrupt: (() => void) | null = null;
  #woken = false;
  #failures = 0;
  #progressAt: number;

  constructor(options: LoopOptions) {
    this.#options = { maxBackoffMs: 500, now: monotonicNow, random: Math.random, ...options };
    this.#progressAt = this.#options.now();
  }

  start(): void {
    if (this.#abort.signal.aborted) return;
    this.#running ??= this.#run();
  }

  /** The next round starts now, or right after the current one. */
  wake(): void {
    this.#woken = true;
    this.#interrupt?.();
  }

  /** When a round last ended, well or not, by the monotonic clock: for liveness. */
  get progressAt(): number {
    return this.#progressAt;
  }

  /** Resolves when the current round has ended. May be called again, and before start. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#interrupt?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#woken = false;
      const pauseMs = await this.#round(signal);
      this.#progressAt = this.#options.now();
      if (!this.#woken && !signal.aborted) await this.#pause(pauseMs);
    }
  }

  async #round(signal: AbortSignal): Promise<number> {
    try {
      const pauseMs = await this.#options.step(signal);
      this.#failures = 0;
      return pauseMs;
    } catch (error) {
      this.#options.onError(error);
      this.#failures += 1;
      const backoffMs = Math.min(this.#options.maxBackoffMs, 25 * 2 ** Math.min(this.#failures, 10));
      return backoffMs * (0.75 + this.#options.random() / 2);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#interrupt = null;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, ms));
      this.#interrupt = done;
    });
  }
}
