import { join } from "node:path";
import { CliError, EXIT } from "../cli-error.js";
import { type PostgresServer, startPostgres } from "../stores/postgres-server.js";
import { type RedisServer, startRedis } from "../stores/redis-server.js";
import { MAX_CONNECTIONS } from "./capacity.js";

/** Postgres and Redis of an `up`: those that the environment names, else servers of its own. */
export interface LocalStores {
  databaseUrl: string;
  redisUrl: string;
  /** Servers that were started here, for the log. */
  own: string[];
  stop(): Promise<void>;
  /** Ends own servers at once; their data stays whole. */
  kill(): void;
}

/** Starts what the environment doesn't name, both at once. Throws CliError with exit code 2 where it can't. */
export async function startLocalStores(
  folder: string,
  env: NodeJS.ProcessEnv,
  log: (line: string) => void,
): Promise<LocalStores> {
  const [postgres, redis] = await Promise.allSettled([
    env["DATABASE_URL"]
      ? null
      : startPostgres({ dataDir: join(folder, "postgres"), maxConnections: MAX_CONNECTIONS, log }),
    env["REDIS_URL"] ? null : startRedis({ dir: folder, log }),
  ]);
  const servers = { postgres: serverOf(postgres), redis: serverOf(redis) };
  if (postgres.status === "rejected" || redis.status === "rejected") {
    await stopAll(servers.postgres, servers.redis);
    throw asCliError(
      postgres.status === "rejected" ? postgres.reason : (redis as PromiseRejectedResult).reason,
    );
  }
  const own: string[] = [];
  if (servers.postgres !== null) own.push(`Postgres on port ${servers.postgres.port}`);
  if (servers.redis !== null) own.push(`Redis on port ${servers.redis.port}`);
  return {
    databaseUrl: servers.postgres?.url ?? env["DATABASE_URL"] ?? "",
    redisUrl: servers.redis?.url ?? env["REDIS_URL"] ?? "",
    own,
    stop: () => stopAll(servers.postgres, servers.redis),
    kill() {
      servers.redis?.kill("SIGKILL");
      servers.postgres?.stop("immediate").catch(() => undefined);
    },
  };
}

async function stopAll(postgres: PostgresServer | null, redis: RedisServer | null): Promise<void> {
  await Promise.all([postgres?.stop("fast"), redis?.stop()]);
}

function serverOf<T>(result: PromiseSettledResult<T | null>): T | null {
  return result.status === "fulfilled" ? result.value : null;
}

function asCliError(error: unknown): CliError {
  const { code, message } = error as { code?: string; message?: string };
  return new CliError(code ?? "store_failed", message ?? String(error), EXIT.usage, { cause: error });
}
