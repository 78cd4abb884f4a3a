import pg from "pg";
import type { PostgresAddress } from "./address.js";
import { sessionConfig } from "./session-config.js";

// bigint columns hold version numbers, terms and incarnations: all far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export interface DatabaseOptions extends PostgresAddress {
  /** Schema that holds ringfleet's tables. */
  schema: string;
  /** At most 63 bytes reach pg_stat_activity. */
  applicationName: string;
  poolSize: number;
  /** Both the server's statement_timeout and, 500 ms later, the client's own. */
  statementTimeoutMs: number;
  lockTimeoutMs?: number;
  /** Hears of connections that broke while idle; they are replaced by themselves. */
  onIdleError?: (error: Error) => void;
}

export type Row = Record<string, unknown>;

export interface QueryResult<R> {
  rows: R[];
  rowCount: number;
}

/** What a store needs of Postgres: the pool and the tick session both are one. */
export interface Queryable {
  query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>>;
}

/** Postgres with room for a background job whose statement may take longer than all others. */
export interface LongQueryable extends Queryable {
  longQuery<R extends Row = Row>(text: string, timeoutMs: number): Promise<QueryResult<R>>;
}

/**
 * Server-side settings every connection starts with. `tcp_user_timeout` and the keepalives let the server drop
 * a client that the network has cut off, whose row locks would otherwise outlive it.
 */
function startupSettings(options: DatabaseOptions): string[] {
  const settings = [
    `search_path=${options.schema}`,
    `statement_timeout=${options.statementTimeoutMs}`,
    "idle_in_transaction_session_timeout=5000",
    "tcp_user_timeout=2500",
    "tcp_keepalives_idle=1",
    "tcp_keepalives_interval=1",
    "tcp_keepalives_count=2",
    "synchronous_commit=on",
  ];
  if (options.lockTimeoutMs !== undefined) settings.push(`lock_timeout=${options.lockTimeoutMs}`);
  return settings;
}

/** How long the client waits for a server that should have given up a statement by itself. */
export function clientTimeoutMs(statementTimeoutMs: number): number {
  return statementTimeoutMs + 500;
}

/** Connection settings shared by the pool and by single sessions. */
export function clientConfig(options: DatabaseOptions): pg.ClientConfig {
  return {
    ...sessionConfig(options, options.applicationName, startupSettings(options)),
    connectionTimeoutMillis: 3000,
    query_timeout: clientTimeoutMs(options.statementTimeoutMs),
    keepAlive: true,
    keepAliveInitialDelayMillis: 1000,
  };
}

/** A bounded pool of connections. A query that fails or times out costs its connection, never the pool. */
export class Database implements LongQueryable {
  readonly #pool: pg.Pool;
  readonly #statementTimeoutMs: number;
  #closed = false;

  constructor(options: DatabaseOptions) {
    this.#statementTimeoutMs = options.statementTimeoutMs;
    this.#pool = new pg.Pool({ ...clientConfig(options), max: options.poolSize, idleTimeoutMillis: 30_000 });
    this.#pool.on("error", (error) => options.onIdleError?.(error));
  }

  async query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    const result = await this.#pool.query<R>(text, values as unknown[]);
    return { rows: result.rows, rowCount: result.rowCount ?? 0 };
  }

  /** As `query`, on one of the pool's connections, with a limit of its own. */
  async longQuery<R extends Row = Row>(text: string, timeoutMs: number): Promise<QueryResult<R>> {
    const client = await this.#pool.connect();
    try {
      await client.query(`SET statement_timeout = ${Math.round(timeoutMs)}`);
      const bounded = { text, query_timeout: clientTimeoutMs(timeoutMs) };
      const result = await client.query<R>(bounded);
      await client.query(`SET statement_timeout = ${Math.round(this.#statementTimeoutMs)}`);
      client.release();
      return { rows: result.rows, rowCount: result.rowCount ?? 0 };
    } catch (error) {
      // Whatever happened, nobody else gets a connection with this limit.
      client.release(true);
      throw error;
    }
  }

  /** Connections by use, for the metrics. */
  connections(): { total: number; idle: number; waiting: number } {
    return {
      total: this.#pool.totalCount,
      idle: this.#pool.idleCount,
      waiting: this.#pool.waitingCount,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.end();
  }
}
