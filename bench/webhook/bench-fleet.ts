import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManagedProcess } from "../../cli/fleet/managed-process.js";
import { startPostgres } from "../../cli/stores/postgres-server.js";
import { startRedis } from "../../cli/stores/redis-server.js";
import { Database } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";

export interface BenchFleet {
  db: Database;
  databaseUrl: string;
  redisUrl: string;
  controlUrl: string;
  stop(): Promise<void>;
}

/** What a process of the fleet has logged. */
export type OnLine = (process: string, line: { msg: string; time: string } & Record<string, unknown>) => void;

/** A real fleet on stores of its own: fsync on, one control plane, `workers` worker processes, `rows` rows. */
export async function startBenchFleet(
  options: { workers: number; rows: number; webhookSecret: string },
  onLine: OnLine,
): Promise<BenchFleet> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-bench-"));
  const log = () => undefined;
  const postgres = await startPostgres({ dataDir: join(folder, "postgres"), durable: true, log });
  const redis = await startRedis({ dir: folder, log });
  await migrate({ url: postgres.url }, "public");
  const db = new Database({
    url: postgres.url,
    schema: "public",
    applicationName: "bench",
    poolSize: 3,
    statementTimeoutMs: 10_000,
  });
  await insertInitialConfig(db, {
    digest: configDigest(DEFAULT_CONFIG),
    body: DEFAULT_CONFIG,
    createdBy: "bench",
    reason: "initial",
  });
  await db.query("INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1)", [
    options.rows,
  ]);
  const processes = startProcesses(
    {
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      WEBHOOK_SECRET: options.webhookSecret,
      SLICE_LOG_LIMIT: "0",
    },
    options.workers,
    onLine,
  );
  await untilWorked(db);
  return {
    db,
    databaseUrl: postgres.url,
    redisUrl: redis.url,
    controlUrl: processes[0]?.url ?? "",
    async stop() {
      await Promise.all(processes.map((process) => process.stop(3000)));
      await db.close();
      await Promise.all([postgres.stop(), redis.stop()]);
      await rm(postgres.dataPlace, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function startProcesses(shared: Record<string, string>, workers: number, onLine: OnLine): ManagedProcess[] {
  const make = (name: string, script: string, env: Record<string, string>) => {
    const started = new ManagedProcess({
      name,
      script,
      env: { PATH: process.env["PATH"], HOST: "127.0.0.1", PORT: "0", ...shared, ...env },
      onLine: (line) => {
        if (line.startsWith("{")) onLine(name, JSON.parse(line) as Parameters<OnLine>[1]);
      },
      onExit: ({ how }) => console.error(`${name} ${how}`),
    });
    started.start();
    return started;
  };
  const names = Array.from({ length: workers }, (_, index) => `worker-${index + 1}`);
  return [
    make("control-1", "control-plane/main.js", { REPLICA_NAME: "control-1" }),
    ...names.map((name) => make(name, "worker/main.js", { WORKER_NAME: name })),
  ];
}

async function untilWorked(db: Database): Promise<void> {
  for (;;) {
    const { rows } = await db.query<{ all: boolean }>(
      "SELECT min(lasttick) > now() - interval '2 s' AS all FROM work_items",
    );
    if (rows[0]?.all === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
