import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../../cli/stores/postgres-server.js";
import { type RedisServer, startRedis } from "../../cli/stores/redis-server.js";

export interface TestStores {
  /** Of database postgres, as the superuser. */
  databaseUrl: string;
  redisUrl: string;
  postgres: PostgresServer;
  redis: RedisServer;
  /** Makes an empty database on the shared server and returns its URL. */
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  /** Redis comes back on the same port and knows nothing. */
  restartRedisEmpty(): Promise<void>;
  /** As a crash of Postgres: no checkpoint, no goodbye. */
  killPostgres(): Promise<void>;
  /** On the same port and data; resolves when it answers queries. */
  restartPostgres(): Promise<void>;
  /** Leaves no process, port, file or shared memory behind. */
  close(): Promise<void>;
}

/** A Postgres and a Redis of the test's own, in a temporary folder, on free ports. */
export async function startTestStores(
  options: {
    /** True where a test needs fsync as in production. */
    durable?: boolean;
    postgres?: { settings?: Record<string, string>; maxConnections?: number; env?: Record<string, string> };
    redis?: { args?: readonly string[] };
  } = {},
): Promise<TestStores> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-stores-"));
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const starts = await Promise.allSettled([
    startPostgres({
      ...options.postgres,
      dataDir: join(folder, "postgres"),
      durable: options.durable ?? false,
      log,
    }),
    startRedis({ ...options.redis, dir: folder, log }),
  ]);
  const [postgres, redis] = starts;
  if (postgres.status === "rejected" || redis.status === "rejected") {
    for (const start of starts) if (start.status === "fulfilled") await start.value.stop();
    await rm(folder, { recursive: true, force: true });
    const reasons = starts.flatMap((start) => (start.status === "rejected" ? [start.reason] : []));
    throw new AggregateError(reasons, `the test stores did not start: ${reasons.map(String).join("; ")}`);
  }
  return testStores(folder, postgres.value, redis.value);
}

function testStores(folder: string, postgres: PostgresServer, redis: RedisServer): TestStores {
  const asSuperuser = async (sql: string) => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  return {
    databaseUrl: postgres.url,
    redisUrl: redis.url,
    postgres,
    redis,
    createDatabase: async (name) => {
      await asSuperuser(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
      const url = new URL(postgres.url);
      url.pathname = `/${encodeURIComponent(name)}`;
      return url.href;
    },
    dropDatabase: (name) => asSuperuser(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`),
    restartRedisEmpty: () => redis.restart(),
    killPostgres: () => postgres.kill("SIGKILL"),
    restartPostgres: () => postgres.restart(),
    close: async () => {
      await Promise.all([stopCleanly(postgres), redis.stop()]);
      await rm(postgres.dataPlace, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A killed Postgres leaves shared memory behind, which the next start on its data removes. */
async function stopCleanly(postgres: PostgresServer): Promise<void> {
  await postgres.stop();
  const wasKilled = await access(join(postgres.dataPlace, "postmaster.pid")).then(
    () => true,
    () => false,
  );
  if (!wasKilled) return;
  await postgres.restart();
  await postgres.stop();
}
