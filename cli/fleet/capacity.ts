import { CliError, EXIT } from "../cli-error.js";

/** What one worker process takes, measured on Node 20 with some room (resident memory). */
const WORKER_MEMORY_MB = 100;
/** Connections of a worker: its pool and the one of its ticks. */
const WORKER_CONNECTIONS = 4;
const MAX_WORKERS = 100;
/** For the control planes, psql, and whoever else looks in. */
const SPARE_CONNECTIONS = 60;

/** max_connections of the embedded Postgres: enough for the largest fleet `up` starts. */
export const MAX_CONNECTIONS = MAX_WORKERS * WORKER_CONNECTIONS + SPARE_CONNECTIONS;

/** The most workers that `up` starts on this machine. */
export function mostWorkers(freeMemoryMb: number): number {
  return Math.max(1, Math.min(MAX_WORKERS, Math.floor(freeMemoryMb / WORKER_MEMORY_MB)));
}

/** Throws CliError where so many workers can't run here. */
export function checkCapacity(workers: number, freeMemoryMb: number): void {
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
