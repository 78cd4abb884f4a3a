import { performance } from "node:perf_hooks";

/** Milliseconds that never step back or jump with the process's clock. */
export const monotonicNow = (): number => performance.now();

/** The longest timer that Node has. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1;
const FIRST_BACKOFF_MS = 50;

export interface LoopOptions {
  /**
   * Does one round and returns the milliseconds until the next; Infinity: when woken. `signal` aborts when the
   * loop stops, and the error with which a round then ends is nobody's concern.
   */
  step: (signal: AbortSignal) => Promise<number>;
  /** A round failed; the next comes after a backoff of 50 ms up to `maxBackoffMs`, jittered. Must not throw. */
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

  /** Starts the first round. May be called again; does nothing after stop. */
  start(): void {
    if (this.#abort.signal.aborted || this.#running !== null) return;
    this.#progressAt = this.#options.now();
    this.#running = this.#run();
  }

  /** The next round starts now, or right after the current one. */
  wake(): void {
    this.#woken = true;
    this.#interrupt?.();
  }

  /** When a round last ended, well or not, by `now`: a loop that fails isn't stuck. For liveness. */
  get progressAt(): number {
    return this.#progressAt;
  }

  /**
   * Resolves when the current round has ended. May be called again, and before start. A step that awaits the
   * stop of its own loop waits for itself.
   */
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
      await this.#pause(pauseMs, signal);
    }
  }

  async #round(signal: AbortSignal): Promise<number> {
    try {
      const pauseMs = await this.#options.step(signal);
      if (Number.isNaN(pauseMs)) throw new TypeError("a step returned NaN as the time until the next");
      this.#failures = 0;
      return pauseMs;
    } catch (error) {
      if (signal.aborted && isAbort(error, signal)) return 0;
      this.#options.onError(error);
      const backoffMs = Math.min(this.#options.maxBackoffMs, FIRST_BACKOFF_MS * 2 ** this.#failures);
      this.#failures = Math.min(this.#failures + 1, 20);
      return backoffMs * (0.75 + this.#options.random() / 2);
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#interrupt = null;
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.max(0, ms), LONGEST_PAUSE_MS));
      this.#interrupt = done;
    });
  }
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}
