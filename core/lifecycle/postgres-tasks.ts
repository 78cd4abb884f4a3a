import type { Logger } from "pino";
import type { LongQueryable, QueryResult, Row } from "../postgres/database.js";
import { reasonOf, sqlState } from "../postgres/errors.js";
import { Loop } from "./loop.js";
import { Outage } from "./outage.js";

/** Classes of SQLSTATE by which Postgres says that it isn't there, or not for us: connection, login, database, shutdown. */
const AWAY = /^(08|28|3D|57P)/;
/** Access rules and unknown names: the message names the table, and another table is another matter. */
const BY_NAME = /^42/;

/**
 * What a process wants of Postgres, one task a loop. An outage of Postgres stops all of them and is told once. What
 * stops one task alone (a missing right, a full disk, a statement that takes too long) is told as that task's,
 * once, and again only when the task is done again or something else stops it.
 */
export class PostgresTasks {
  readonly #db: LongQueryable;
  readonly #log: Logger;
  readonly #outage: Outage;
  readonly #errors = new WeakSet<object>();
  /** Grows with each failure that says that Postgres is away. */
  #failures = 0;

  constructor(db: LongQueryable, log: Logger) {
    this.#db = db;
    this.#log = log;
    this.#outage = new Outage("Postgres", log);
  }

  /** `what` it does, as in "can't …". */
  task(what: string): PostgresTask {
    const shared = {
      errors: this.#errors,
      failed: (error: unknown) => {
        this.#failures += 1;
        this.#outage.failed(error);
      },
      failures: () => this.#failures,
      over: () => this.#outage.over(),
    };
    return new PostgresTask(what, this.#db, this.#log, shared);
  }
}

/** What all tasks know of Postgres. */
interface Shared {
  /** Errors with which it, or the way to it, answered. */
  errors: WeakSet<object>;
  failed(error: unknown): void;
  failures(): number;
  over(): void;
}

/** Postgres as one loop uses it. */
export class PostgresTask implements LongQueryable {
  readonly #what: string;
  readonly #db: LongQueryable;
  readonly #log: Logger;
  readonly #shared: Shared;
  #answers = 0;
  /** What stops this task alone; null while nothing does. */
  #stoppedBy: string | null = null;

  constructor(what: string, db: LongQueryable, log: Logger, shared: Shared) {
    this.#what = what;
    this.#db = db;
    this.#log = log;
    this.#shared = shared;
  }

  query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    return this.#asked(this.#db.query<R>(text, values));
  }

  longQuery<R extends Row = Row>(text: string, timeoutMs: number): Promise<QueryResult<R>> {
    return this.#asked(this.#db.longQuery<R>(text, timeoutMs));
  }

  /** A loop of this task's rounds. */
  loop(step: () => Promise<number>): Loop {
    return new Loop({ step: () => this.#round(step), onError: (error) => this.#failed(error) });
  }

  async #asked<R>(answer: Promise<QueryResult<R>>): Promise<QueryResult<R>> {
    try {
      const result = await answer;
      this.#answers += 1;
      return result;
    } catch (error) {
      if (error instanceof Error) this.#shared.errors.add(error);
      throw error;
    }
  }

  /** A round in which Postgres wasn't asked proves nothing; nor does an answer from before the newest failure. */
  async #round(step: () => Promise<number>): Promise<number> {
    const answers = this.#answers;
    const failures = this.#shared.failures();
    const pauseMs = await step();
    if (this.#answers === answers) return pauseMs;
    if (this.#shared.failures() === failures) this.#shared.over();
    if (this.#stoppedBy !== null) this.#log.info(`can ${this.#what} again`);
    this.#stoppedBy = null;
    return pauseMs;
  }

  #failed(error: unknown): void {
    const state = sqlState(error);
    const isPostgres = error instanceof Error && this.#shared.errors.has(error);
    if (isPostgres && (state === null || AWAY.test(state))) {
      this.#shared.failed(error);
      return;
    }
    const reason = reasonOf(error);
    const stoppedBy = state === null || BY_NAME.test(state) ? reason : state;
    if (stoppedBy !== this.#stoppedBy) {
      this.#log.warn(`can't ${this.#what}: ${reason}; tried again till it works`);
    }
    this.#stoppedBy = stoppedBy;
  }
}
