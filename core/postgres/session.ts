import pg from "pg";
import { monotonicNow } from "../lifecycle/loop.js";
import {
  clientConfig,
  clientTimeoutMs,
  type DatabaseOptions,
  type QueryResult,
  type Row,
} from "./database.js";
import { SQLSTATE } from "./errors.js";

/**
 * One connection of its own, for a caller whose statements must run one after the other (a worker's ticks).
 * It connects at first use, and again after it broke; a statement that times out destroys the socket, so that
 * nothing of it can arrive later.
 */
export class Session {
  readonly #options: DatabaseOptions;
  #client: pg.Client | null = null;
  #statementTimeoutMs: number;
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#statementTimeoutMs = options.statementTimeoutMs;
  }

  /** Rows of the last statement, where the text holds several (these run as one transaction). */
  async query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    const client = await this.#connected();
    try {
      const result: unknown = await client.query(this.#bounded(text, values));
      const last = (Array.isArray(result) ? result[result.length - 1] : result) as pg.QueryResult<R>;
      return { rows: last.rows, rowCount: last.rowCount ?? 0 };
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || isFatal(error)) this.#drop(client);
      throw error;
    } finally {
      this.#answeredAt = monotonicNow();
    }
  }

  /** When the newest statement ended, well or not, by the monotonic clock; -Infinity before the first. */
  get answeredAt(): number {
    return this.#answeredAt;
  }

  /** How long a statement is waited for at most. */
  get answerLimitMs(): number {
    return clientTimeoutMs(this.#statementTimeoutMs);
  }

  /** The client's own limit, for a server that says nothing, goes with the server's. */
  #bounded(text: string, values: readonly unknown[] | undefined): pg.QueryConfig & { query_timeout: number } {
    const query_timeout = this.answerLimitMs;
    return { text, ...(values === undefined ? {} : { values: values as unknown[] }), query_timeout };
  }

  /** Takes effect before the next statement; costs a round trip only where it changes. */
  async setStatementTimeout(ms: number): Promise<void> {
    if (ms === this.#statementTimeoutMs) return;
    this.#statementTimeoutMs = ms;
    if (this.#client !== null) await this.query(`SET statement_timeout = ${Math.round(ms)}`);
  }

  get connected(): boolean {
    return this.#client !== null;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    if (client !== null) await client.end().catch(() => undefined);
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== null) return this.#client;
    const client = new pg.Client(
      clientConfig({ ...this.#options, statementTimeoutMs: this.#statementTimeoutMs }),
    );
    client.on("error", () => this.#drop(client));
    client.on("end", () => this.#drop(client));
    try {
      await client.connect();
    } catch (error) {
      destroySocket(client);
      throw error;
    }
    this.#client = client;
    return client;
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = null;
    destroySocket(client);
  }
}

function destroySocket(client: pg.Client): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): void } } };
  connection?.stream?.destroy();
}

/**
 * The server ended the connection with this error (shutdown, crash, termination), or it is read-only: after a
 * failover a new connection may lead to the one that takes writes.
 */
function isFatal(error: pg.DatabaseError): boolean {
  return error.severity === "FATAL" || error.severity === "PANIC" || error.code === SQLSTATE.readOnly;
}
