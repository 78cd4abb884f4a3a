import pg from "pg";
import type { SealedTick } from "../../core/ticks/sealed-tick.js";
import type { VersionDocument } from "../../core/versions/version.js";
import type { Host } from "./host.js";
import type { Random } from "./random.js";
import type { Timeline } from "./timeline.js";

/** One committed state of a row of work_items. */
export interface ItemVersion {
  csn: number;
  value: number;
  lasttick: number;
  worker: string | null;
}

export interface Item {
  id: string;
  slot: number;
  /** Database time of its insert. */
  bornAtMs: number;
  /** Oldest first. */
  history: ItemVersion[];
  lock: Lock;
}

export interface LeaseVersion {
  csn: number;
  holder: string | null;
  term: number;
  expiresAtMs: number;
}

export type Stored<T> = T & { csn: number };

export type Write =
  | { kind: "item"; item: Item; value: number; lasttick: number; worker: string; madeAtMs: number }
  | { kind: "tick"; tick: SealedTick }
  | { kind: "version"; document: VersionDocument; base: number; holder: string; term: number }
  | { kind: "lease"; lease: Omit<LeaseVersion, "csn">; cause: "acquired" | "renewed" | "released" };

/** Who holds a row or the openers' advisory lock, and who waits for it, first come first served. */
export class Lock {
  readonly holders = new Map<Transaction, "shared" | "exclusive">();
  readonly queue: { tx: Transaction; mode: "shared" | "exclusive" }[] = [];

  isFreeFor(tx: Transaction, mode: "shared" | "exclusive"): boolean {
    for (const [holder, held] of this.holders) {
      if (holder !== tx && (mode === "exclusive" || held === "exclusive")) return false;
    }
    return true;
  }
}

/** What a statement waits for: its turn on the processor or disk, or a lock. */
export type Wait = "turn" | { lock: Lock; mode: "shared" | "exclusive" };

export type Statement<T = unknown> = Generator<Wait, T, void>;

/** One autocommit statement, or one simple query of several, on its way through the server. */
export class Transaction {
  state: "open" | "committing" | "ended" = "open";
  readonly writes: Write[] = [];
  readonly locks: Lock[] = [];
  /** Database time at the begin: now(). */
  readonly nowMs: number;

  constructor(
    readonly host: Host,
    readonly statement: string,
    nowMs: number,
  ) {
    this.nowMs = nowMs;
  }
}

/** What sees every commit, in order. */
export interface Witness {
  committed(tx: Transaction, csn: number): void;
  /** A live statement came to a row for `tick` that somebody has worked for a later tick. */
  overtaken(tx: Transaction, item: Item, tick: number): void;
  /** A failover lost everything after this commit. */
  rolledBackTo(csn: number): void;
}

export interface Weather {
  /** Likelihood that a turn at the server, a commit or a way through the network is a slow one. */
  slow: number;
  slowMs: number;
}

/**
 * A Postgres in memory: transactions at READ COMMITTED with snapshots by commit number, row locks with queues and
 * lock_timeout, statement_timeout up to (not during) the commit, a commit that takes its time and releases locks
 * last, and a clock of its own that may step.
 */
export class PostgresEngine {
  readonly items: Item[] = [];
  versions: Stored<{ document: VersionDocument }>[] = [];
  ticks: Stored<{ tick: SealedTick }>[] = [];
  lease: LeaseVersion[] = [{ csn: 0, holder: null, term: 0, expiresAtMs: Number.NEGATIVE_INFINITY }];
  readonly leaseLock = new Lock();
  readonly openersLock = new Lock();
  csn = 0;
  incarnations = 0;
  up = true;
  readonly #open = new Set<Transaction>();
  readonly #settle = new Map<Transaction, (outcome: unknown, error: Error | null) => void>();
  readonly #commitTimes: { csn: number; at: number }[] = [];
  /** What a pooler holds till a new primary is there; null where callers hear at once that nobody is. */
  #pooled: (() => void)[] | null = null;
  #clockOffsetMs: number;
  #stallMs = 0;

  constructor(
    readonly timeline: Timeline,
    readonly random: Random,
    readonly weather: Weather,
    readonly witness: Witness,
  ) {
    this.#clockOffsetMs = 1_700_000_000_000 + random.below(1000);
  }

  /** clock_timestamp(), epoch ms. */
  clock(): number {
    return this.timeline.now + this.#clockOffsetMs;
  }

  stepClock(ms: number): void {
    this.#clockOffsetMs += ms;
  }

  delay(typicalMs: number): number {
    const { slow, slowMs } = this.weather;
    if (slow > 0 && this.random.chance(slow)) return this.random.between(0, slowMs);
    return typicalMs * (0.5 + this.random.next());
  }

  /** Runs a statement from its begin to its commit and tells how it ended. */
  execute<T>(
    host: Host,
    name: string,
    statement: (tx: Transaction) => Statement<T>,
    limits: { lockTimeoutMs: number | null; statementTimeoutMs: number },
    done: (outcome: T | null, error: Error | null) => void,
  ): void {
    const tx = new Transaction(host, name, this.clock());
    this.#open.add(tx);
    this.#settle.set(tx, done as (outcome: unknown, error: Error | null) => void);
    this.timeline.after(limits.statementTimeoutMs, () => {
      if (tx.state === "open") this.#abort(tx, databaseError("57014", "canceling statement due to timeout"));
    });
    this.#advance(tx, statement(tx), limits.lockTimeoutMs);
  }

  #advance(tx: Transaction, statement: Statement, lockTimeoutMs: number | null): void {
    for (;;) {
      if (tx.state !== "open") return;
      const { value, done } = statement.next();
      if (done === true) {
        this.#commitLater(tx, value);
        return;
      }
      if (value === "turn") {
        this.timeline.after(this.delay(0.3), () => this.#advance(tx, statement, lockTimeoutMs));
        return;
      }
      const { lock, mode } = value as { lock: Lock; mode: "shared" | "exclusive" };
      if (lock.isFreeFor(tx, mode) && lock.queue.length === 0) {
        this.#take(tx, lock, mode);
        continue;
      }
      const entry = { tx, mode, wake: () => this.#advance(tx, statement, lockTimeoutMs) };
      lock.queue.push(entry);
      if (lockTimeoutMs !== null) {
        this.timeline.after(lockTimeoutMs, () => {
          if (tx.state === "open" && lock.queue.includes(entry)) {
            this.#abort(tx, databaseError("55P03", "canceling statement due to lock timeout"));
          }
        });
      }
      return;
    }
  }

  #take(tx: Transaction, lock: Lock, mode: "shared" | "exclusive"): void {
    lock.holders.set(tx, mode);
    tx.locks.push(lock);
  }

  /** The next commit of a ring view takes this much longer: its backend isn't scheduled, or its disk stalls. */
  stallPublish(ms: number): void {
    this.#stallMs = ms;
  }

  #takeStall(tx: Transaction): number {
    if (!tx.writes.some((write) => write.kind === "version")) return 0;
    const ms = this.#stallMs;
    this.#stallMs = 0;
    return ms;
  }

  /** Commit takes its time (WAL, a synchronous standby); only then is it visible, and only then do locks go. */
  #commitLater(tx: Transaction, outcome: unknown): void {
    tx.state = "committing";
    const ms = tx.writes.length === 0 ? 0 : this.delay(1) + this.#takeStall(tx);
    this.timeline.after(ms, () => {
      if (tx.state !== "committing") return;
      this.#apply(tx);
      this.#end(tx, outcome, null);
    });
  }

  #apply(tx: Transaction): void {
    if (tx.writes.length === 0) return;
    const csn = ++this.csn;
    this.#commitTimes.push({ csn, at: this.timeline.now });
    this.witness.committed(tx, csn);
    for (const write of tx.writes) {
      if (write.kind === "item") {
        const { item, value, lasttick, worker } = write;
        item.history.push({ csn, value, lasttick, worker });
        if (item.history.length > 24) item.history.shift();
      } else if (write.kind === "tick") {
        this.ticks = this.ticks.filter(({ tick }) => tick.tickMs !== write.tick.tickMs);
        this.ticks.push({ csn, tick: write.tick });
        this.ticks.sort((a, b) => a.tick.tickMs - b.tick.tickMs);
      } else if (write.kind === "version") {
        this.versions.push({ csn, document: write.document });
      } else {
        this.lease.push({ csn, ...write.lease });
      }
    }
  }

  #abort(tx: Transaction, error: Error): void {
    this.#end(tx, null, error);
  }

  #end(tx: Transaction, outcome: unknown, error: Error | null): void {
    tx.state = "ended";
    this.#open.delete(tx);
    const done = this.#settle.get(tx);
    this.#settle.delete(tx);
    for (const lock of tx.locks) {
      lock.holders.delete(tx);
      this.#grant(lock);
    }
    done?.(outcome, error);
  }

  #grant(lock: Lock): void {
    for (;;) {
      const next = lock.queue[0] as (Lock["queue"][number] & { wake: () => void }) | undefined;
      if (next === undefined) return;
      if (next.tx.state === "open") {
        if (!lock.isFreeFor(next.tx, next.mode)) return;
        this.#take(next.tx, lock, next.mode);
        this.timeline.after(0, next.wake);
      }
      lock.queue.shift();
    }
  }

  /** A statement of nobody's interest, committed at once. */
  commitDirectly(host: Host, write: Write): void {
    const tx = new Transaction(host, "direct", this.clock());
    tx.writes.push(write);
    this.#apply(tx);
  }

  /** The server dies. What was committing is durable or not; nobody hears of it. */
  crash(): void {
    this.up = false;
    for (const tx of [...this.#open]) {
      if (tx.state === "committing" && this.random.chance(0.5)) this.#apply(tx);
      this.#abort(tx, new Error("Connection terminated unexpectedly"));
    }
  }

  /** A statement that comes while the server is down. Returns whether a pooler takes it, to hand it on later. */
  pool(deliver: () => void): boolean {
    this.#pooled?.push(deliver);
    return this.#pooled !== null;
  }

  /** An asynchronous standby takes over that lacks the last `lostMs` of commits; a pooler may stand in front. */
  failOver(lostMs: number, isPooled: boolean): void {
    this.crash();
    this.#pooled = isPooled ? [] : null;
    const keepAt = this.timeline.now - lostMs;
    let keep = this.csn;
    while (this.#commitTimes.length > 0) {
      const last = this.#commitTimes[this.#commitTimes.length - 1];
      if (last === undefined || last.at <= keepAt) break;
      keep = last.csn - 1;
      this.#commitTimes.pop();
    }
    const survives = (row: { csn: number }) => row.csn <= keep;
    for (const item of this.items) item.history = item.history.filter(survives);
    this.versions = this.versions.filter(survives);
    this.ticks = this.ticks.filter(survives);
    this.lease = this.lease.filter(survives);
    this.witness.rolledBackTo(keep);
  }

  restart(): void {
    this.up = true;
    const held = this.#pooled ?? [];
    this.#pooled = null;
    for (const deliver of held) this.timeline.after(this.delay(0.3), deliver);
  }
}

export function databaseError(code: string, message: string): Error {
  const error = new pg.DatabaseError(message, message.length, "error");
  error.code = code;
  return error;
}
