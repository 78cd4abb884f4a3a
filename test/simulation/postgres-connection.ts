import type { LongQueryable, QueryResult, Row } from "../../core/postgres/database.js";
import type { Host } from "./host.js";
import type { PostgresEngine } from "./postgres-engine.js";
import { type StatementBug, statementFor } from "./store-model.js";

/** Statements that a cut link holds: the network may still deliver them when it heals. */
export class HeldTraffic {
  readonly #held: { host: Host; deliver: () => void }[] = [];

  hold(host: Host, deliver: () => void): void {
    this.#held.push({ host, deliver });
  }

  release(host: Host): void {
    for (const entry of this.#held.splice(0)) {
      if (entry.host !== host) this.#held.push(entry);
      else if (host.random.chance(0.5)) entry.deliver();
    }
  }
}

/** A process's way to the model of Postgres: Queryable as the stores know it, with a network in between. */
export class PostgresConnection implements LongQueryable {
  readonly #host: Host;
  readonly #engine: PostgresEngine;
  readonly #held: HeldTraffic;
  readonly #bug: StatementBug;
  readonly #lockTimeoutMs: number | null;
  #statementTimeoutMs: number;

  constructor(
    host: Host,
    engine: PostgresEngine,
    held: HeldTraffic,
    bug: StatementBug,
    limits: { lockTimeoutMs: number | null; statementTimeoutMs: number },
  ) {
    this.#host = host;
    this.#engine = engine;
    this.#held = held;
    this.#bug = bug;
    this.#lockTimeoutMs = limits.lockTimeoutMs;
    this.#statementTimeoutMs = limits.statementTimeoutMs;
  }

  setStatementTimeout(ms: number): Promise<void> {
    this.#statementTimeoutMs = ms;
    return Promise.resolve();
  }

  longQuery<R extends Row = Row>(text: string): Promise<QueryResult<R>> {
    return this.query(text);
  }

  query<R extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<QueryResult<R>> {
    const { name, run } = statementFor(this.#engine, text, values, this.#bug);
    const host = this.#host;
    const engine = this.#engine;
    const limits = { lockTimeoutMs: this.#lockTimeoutMs, statementTimeoutMs: this.#statementTimeoutMs };
    return new Promise((resolve, reject) => {
      const link = host.links.postgres;
      const reply = (outcome: QueryResult<R> | null, error: Error | null) => {
        if (!link.toProcess) return;
        host.after(engine.delay(0.3), () => (outcome === null ? reject(error) : resolve(outcome)));
      };
      const arrive = () => {
        if (engine.up) {
          engine.execute(host, name, (tx) => run(tx), limits, reply as Parameters<typeof engine.execute>[4]);
        } else if (!engine.pool(arrive)) {
          reply(null, new Error("connect ECONNREFUSED"));
        }
      };
      host.after(limits.statementTimeoutMs + 500, () => reject(new Error("Query read timeout")));
      engine.timeline.after(engine.delay(0.3), () => {
        if (link.toStore) arrive();
        else this.#held.hold(host, arrive);
      });
    });
  }
}
