import { Database } from "../../core/postgres/database.js";
import { CliError, EXIT } from "../cli-error.js";
import { addressOf } from "../environment.js";

/** What one worker process takes, measured on Node 20 with some room (resident memory). */
const WORKER_MEMORY_MB = 100;
/** Most connections of a worker: its pool and the one of its ticks. */
const WORKER_CONNECTIONS = 4;
/** Those that it can't do without. */
const LEAST_WORKER_CONNECTIONS = 2;
const LEAST_CONTROL_PLANE_CONNECTIONS = 3;
const MAX_WORKERS = 100;
/** For the control planes, psql, and whoever else looks in. */
const SPARE_CONNECTIONS = 60;

/** max_connections of the embedded Postgres: enough for the largest fleet `up` starts. */
export const MAX_CONNECTIONS = MAX_WORKERS * WORKER_CONNECTIONS + SPARE_CONNECTIONS;

/** The most workers that `up` starts on this machine. */
export function mostWorkers(freeMemoryMb: number): number {
  return Math.max(1, Math.min(MAX_WORKERS, Math.floor(freeMemoryMb / WORKER_MEMORY_MB)));
}

/** Memory that new processes may take, MB; in a container within its limit. */
function freeMemoryMb(): number {
  return process.availableMemory() / 2 ** 20;
}

/** Throws CliError where `workers` can't run here; `running` of them do already. */
export function checkCapacity(workers: number, running = 0, freeMb = freeMemoryMb()): void {
  checkMemory(workers, freeMb + Math.min(running, workers) * WORKER_MEMORY_MB);
}

function checkMemory(workers: number, freeMemoryMb: number): void {
  const most = mostWorkers(freeMemoryMb);
  if (workers <= most) return;
  const why =
    most < MAX_WORKERS
      ? `each takes about ${WORKER_MEMORY_MB} MB, and ${Math.floor(freeMemoryMb)} MB are free`
      : `each is a process with ${WORKER_CONNECTIONS} connections to Postgres; for more, spread them over machines with the Helm chart`;
  throw new CliError(
    "too_many_workers",
    `${workers} workers are too many for this machine, at most ${most} here: ${why}`,
    EXIT.usage,
  );
}

/** Throws CliError where a Postgres that isn't ours has no room for so many more processes. */
export async function checkConnections(
  url: string,
  schema: string,
  more: { workers: number; controlPlanes: number },
): Promise<void> {
  const db = new Database({
    ...addressOf(url),
    schema,
    applicationName: "ringfleet/up",
    poolSize: 1,
    statementTimeoutMs: 5000,
  });
  try {
    const { rows } = await db.query<{ most: number; free: number }>(
      `SELECT current_setting('max_connections')::int AS most,
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS free`,
    );
    const { most, free } = rows[0] ?? { most: 0, free: 0 };
    const room = free - more.controlPlanes * LEAST_CONTROL_PLANE_CONNECTIONS;
    if (more.workers * LEAST_WORKER_CONNECTIONS <= room) return;
    throw new CliError(
      "too_few_connections",
      `this Postgres has room for ${Math.max(0, Math.floor(room / LEAST_WORKER_CONNECTIONS))} more workers, not for ${more.workers}: ` +
        `of its ${most} connections (max_connections) ${free} are free, and each worker takes at least ${LEAST_WORKER_CONNECTIONS}`,
      EXIT.usage,
    );
  } finally {
    await db.close();
  }
}
