import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "../../core/postgres/database.js";
import { acquireLease, type Lease, readLease, releaseLease, renewLease } from "./lease-store.js";

export interface LeadershipOptions {
  db: Queryable;
  /** Unique among the replicas, also across restarts. */
  holder: string;
  ttlMs: number;
  monotonicNow: () => number;
  log: Logger;
  registry: Registry;
  onElected: () => void;
}

/**
 * follower ──lease free or expired──▶ leader of term n ──renewed──▶ leader of term n
 *     ▲                                      │
 *     └── renewal refused, or trust over ────┘
 *
 * A term is trusted until its TTL after the *sending* of the last renewal that succeeded, by the monotonic
 * clock; beyond that, Postgres refuses its publishes anyway.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  #term: { number: number; trustedUntil: number } | null = null;
  #lastSeen: Lease | null = null;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    const term = () => this.term();
    new Gauge({
      name: "ringfleet_leader",
      help: "1 while this replica holds the lease and trusts it.",
      registers: [options.registry],
      collect() {
        this.set(term() === null ? 0 : 1);
      },
    });
  }

  /** The term this replica leads, or null. */
  term(): number | null {
    if (this.#term === null) return null;
    return this.#options.monotonicNow() < this.#term.trustedUntil ? this.#term.number : null;
  }

  /** The lease as this replica last read it. */
  get lastSeen(): Lease | null {
    return this.#lastSeen;
  }

  /** Renews or seeks the lease. Returns the milliseconds until the next step. */
  async step(): Promise<number> {
    const { db, holder, ttlMs, monotonicNow, log, onElected } = this.#options;
    const sentAt = monotonicNow();
    if (this.#term !== null) {
      if (await renewLease(db, holder, this.#term.number, ttlMs)) {
        this.#term.trustedUntil = sentAt + ttlMs;
        this.#lastSeen = { holder, term: this.#term.number, remainingMs: ttlMs };
        return ttlMs / 4;
      }
      log.warn(`deposed: term ${this.#term.number} has ended`);
      this.#term = null;
    }
    const term = await acquireLease(db, holder, ttlMs);
    if (term !== null) {
      this.#term = { number: term, trustedUntil: sentAt + ttlMs };
      this.#lastSeen = { holder, term, remainingMs: ttlMs };
      log.info({ term }, `leader of term ${term}`);
      onElected();
      return ttlMs / 4;
    }
    this.#lastSeen = await readLease(db);
    return Math.min(Math.max(this.#lastSeen.remainingMs, 0) + 10, ttlMs / 6);
  }

  /** Gives a held lease back. */
  async resign(): Promise<void> {
    if (this.#term === null) return;
    const { number } = this.#term;
    this.#term = null;
    await releaseLease(this.#options.db, this.#options.holder, number);
  }
}
