import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError, EXIT } from "../cli-error.js";
import { type PostgresServer, startPostgres } from "../stores/postgres-server.js";
import { type RedisServer, startRedis } from "../stores/redis-server.js";
import type { ServerExit } from "../stores/server-process.js";
import { MAX_CONNECTIONS } from "./capacity.js";

/** Pause before a server that ended by itself is started again. */
const RESTART_MS = 500;
const RETRY_MS = 5000;

/** Postgres and Redis of an `up`: those that the environment names, else servers of its own. */
export interface LocalStores {
  databaseUrl: string;
  redisUrl: string;
  /** Servers that were started here, for the log. */
  own: string[];
  hasOwnPostgres: boolean;
  hasOwnRedis: boolean;
  stop(): Promise<void>;
  /** Ends own servers at once; their data stays whole. */
  kill(): void;
}

interface OwnServer {
  readonly exited: Promise<ServerExit>;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

type Say = (line: string, level?: string) => void;

/**
 * Starts what `named` lacks, both at once; a server of its own that ends by itself is started again.
 * Throws CliError with exit code 2 where it can't.
 */
export async function startLocalStores(
  folder: string,
  named: { databaseUrl: string | null; redisUrl: string | null },
  say: Say,
): Promise<LocalStores> {
  const log = (line: string) => say(line);
  const [postgres, redis] = await Promise.allSettled([
    named.databaseUrl === null
      ? startPostgres({ dataDir: join(folder, "postgres"), maxConnections: MAX_CONNECTIONS, log })
      : null,
    named.redisUrl === null ? startRedis({ dir: folder, log }) : null,
  ]);
  if (postgres.status === "rejected" || redis.status === "rejected") {
    await Promise.all([fulfilled(postgres)?.stop("fast"), fulfilled(redis)?.stop()]);
    throw asCliError(
      postgres.status === "rejected" ? postgres.reason : (redis as PromiseRejectedResult).reason,
    );
  }
  return keepStores(postgres.value, redis.value, named, say);
}

function keepStores(
  postgres: PostgresServer | null,
  redis: RedisServer | null,
  named: { databaseUrl: string | null; redisUrl: string | null },
  say: Say,
): LocalStores {
  const stopping = new AbortController();
  const keepers = [
    ...(postgres === null ? [] : [keepRunning("Postgres", postgres, stopping.signal, say)]),
    ...(redis === null ? [] : [keepRunning("Redis", redis, stopping.signal, say)]),
  ];
  const own: string[] = [];
  if (postgres !== null) own.push(`Postgres on port ${postgres.port}`);
  if (redis !== null) own.push(`Redis on port ${redis.port}`);
  return {
    databaseUrl: postgres?.url ?? named.databaseUrl ?? "",
    redisUrl: redis?.url ?? named.redisUrl ?? "",
    own,
    hasOwnPostgres: postgres !== null,
    hasOwnRedis: redis !== null,
    async stop() {
      stopping.abort();
      await Promise.all([postgres?.stop("fast"), redis?.stop()]);
      await Promise.all(keepers);
    },
    kill() {
      stopping.abort();
      redis?.kill("SIGKILL").catch(() => undefined);
      postgres?.stop("immediate").catch(() => undefined);
    },
  };
}

/** Starts a server again whenever it ends, until `stopping`; then resolves once it has ended for good. */
async function keepRunning(name: string, server: OwnServer, stopping: AbortSignal, say: Say): Promise<void> {
  let pauseMs = RESTART_MS;
  while (!stopping.aborted) {
    const { code, signal } = await server.exited;
    if (stopping.aborted) return;
    if (pauseMs === RESTART_MS) {
      say(
        `${name} ${signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`}: starting it again`,
        "warn",
      );
    }
    await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) return;
    try {
      await server.restart();
      if (stopping.aborted) await server.stop();
      else say(`${name} runs again`);
      pauseMs = RESTART_MS;
    } catch (error) {
      pauseMs = RETRY_MS;
      const reason = error instanceof Error ? error.message : String(error);
      say(`${name} doesn't start: ${reason}; next try in ${RETRY_MS / 1000} s`, "error");
    }
  }
}

function fulfilled<T>(result: PromiseSettledResult<T | null>): T | null {
  return result.status === "fulfilled" ? result.value : null;
}

function asCliError(error: unknown): CliError {
  const { code, message } = error as { code?: string; message?: string };
  return new CliError(code ?? "store_failed", message ?? String(error), EXIT.usage, { cause: error });
}
