import { Random, streamOf } from "./random.js";
import type { Timeline } from "./timeline.js";

/** State of the links between a process and a store; each way by itself. */
export interface Link {
  toStore: boolean;
  toProcess: boolean;
}

/**
 * One simulated process: its monotonic clock, its timers and what reaches it. While it is paused nothing of it
 * runs, and what came meanwhile runs in order when it goes on; once crashed nothing runs any more.
 */
export class Host {
  readonly random: Random;
  readonly links: Record<"postgres" | "redis", Link> = {
    postgres: { toStore: true, toProcess: true },
    redis: { toStore: true, toProcess: true },
  };
  readonly #timeline: Timeline;
  readonly #clockOffsetMs: number;
  readonly #whenDead: (() => void)[] = [];
  #backlog: (() => void)[] = [];
  #disturbedAt: number;
  /** Told to leave. */
  leaving = false;
  readonly bornAt: number;
  /** When this process, and not just everybody, last lost Redis. */
  cutFromRedisAt = Number.NEGATIVE_INFINITY;
  #isAlive = true;
  #isPaused = false;
  /** Number of this process, once it has one. */
  incarnation = 0;

  constructor(
    timeline: Timeline,
    readonly name: string,
    /** Of all processes that ever ran, the how manieth. */
    readonly number: number,
    seed: number,
  ) {
    this.#timeline = timeline;
    this.#disturbedAt = timeline.now;
    this.bornAt = timeline.now;
    this.random = new Random(seed, streamOf(`${name}#${number}`));
    this.#clockOffsetMs = this.random.between(0, 1e7);
  }

  get alive(): boolean {
    return this.#isAlive;
  }

  /** Something kept it from working: a pause, a crash, a cut from Postgres. */
  disturbed(): void {
    this.#disturbedAt = this.#timeline.now;
  }

  wasUndisturbedFor(ms: number): boolean {
    return this.#isAlive && !this.#isPaused && this.#timeline.now - this.#disturbedAt >= ms;
  }

  get paused(): boolean {
    return this.#isPaused;
  }

  /** Monotonic ms of this process. */
  readonly now = (): number => this.#timeline.now + this.#clockOffsetMs;

  /** Runs later in this process: a timer, or something that arrives. */
  after(ms: number, run: () => void): void {
    this.#timeline.after(ms, () => this.#arrive(run));
  }

  readonly sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

  pause(): void {
    this.disturbed();
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.disturbed();
    this.#isPaused = false;
    // One by one, as an event loop would: what it awaits in between runs in between.
    for (const run of this.#backlog) this.after(0, run);
    this.#backlog = [];
  }

  crash(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#backlog = [];
    for (const run of this.#whenDead) run();
  }

  /** The kernel closes what the process had open. */
  onDead(run: () => void): void {
    this.#whenDead.push(run);
  }

  #arrive(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#backlog.push(run);
    else run();
  }
}

/** core/lifecycle/loop.ts on virtual time. */
export class SimLoop {
  readonly #host: Host;
  readonly #step: () => Promise<number>;
  readonly #onError: (error: unknown) => void;
  #stopped = false;
  #woken = false;
  #waiting = 0;
  #failures = 0;
  #interrupt: (() => void) | null = null;
  /** Resolves when the last round has ended. */
  ended: Promise<void> = Promise.resolve();

  constructor(host: Host, step: () => Promise<number>, onError: (error: unknown) => void) {
    this.#host = host;
    this.#step = step;
    this.#onError = onError;
  }

  run(): Promise<void> {
    this.ended = this.#rounds();
    return this.ended;
  }

  async #rounds(): Promise<void> {
    while (!this.#stopped && this.#host.alive) {
      this.#woken = false;
      let pauseMs: number;
      try {
        pauseMs = await this.#step();
        this.#failures = 0;
      } catch (error) {
        this.#onError(error);
        pauseMs = Math.min(500, 50 * 2 ** this.#failures) * (0.75 + this.#host.random.next() / 2);
        this.#failures = Math.min(this.#failures + 1, 20);
      }
      if (!this.#woken && !this.#stopped) await this.#pause(pauseMs);
    }
  }

  wake(): void {
    this.#woken = true;
    this.#interrupt?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#interrupt?.();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const turn = ++this.#waiting;
      const done = () => {
        if (turn !== this.#waiting) return;
        this.#waiting += 1;
        this.#interrupt = null;
        resolve();
      };
      this.#interrupt = done;
      if (Number.isFinite(ms)) this.#host.after(ms, done);
    });
  }
}
