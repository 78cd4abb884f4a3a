import { hostname } from "node:os";
import { type Environment, type ReadFile, readEnvironment } from "./environment.js";
import type { ProcessKind } from "./setting.js";
import { SettingsError } from "./settings-error.js";

interface CommonSettings {
  databaseUrl: string;
  redisUrl: string;
  host: string;
  port: number;
  apiToken: string | null;
  heartbeatMs: number;
  redisKeyPrefix: string;
  pgSchema: string;
  pgPoolSize: number;
  logLevel: string;
}

export interface ControlPlaneSettings extends CommonSettings {
  replicaName: string;
  deadAfterMs: number;
  leaseTtlMs: number;
  joinSettleMs: number;
  replaceSettleMs: number;
}

export interface WorkerSettings extends CommonSettings {
  workerName: string;
  workerRevision: string;
  workerWeight: number;
  workerAddress: string | null;
  controlPlaneUrl: string | null;
  drainTimeoutMs: number;
  sliceLogLimit: number;
}

/** Settings of a control-plane replica. Throws SettingsError. */
export function parseControlPlaneSettings(env: Environment, readFile?: ReadFile): ControlPlaneSettings {
  const values = readEnvironment("control-plane", env, readFile);
  const settings: ControlPlaneSettings = {
    ...common(values, { port: 8080, poolSize: 5 }),
    replicaName: processName(values, env, "REPLICA_NAME"),
    deadAfterMs: values.get("DEAD_AFTER_MS") as number,
    leaseTtlMs: values.get("LEASE_TTL_MS") as number,
    joinSettleMs: values.get("JOIN_SETTLE_MS") as number,
    replaceSettleMs: values.get("REPLACE_SETTLE_MS") as number,
  };
  const leastMs = 3 * settings.heartbeatMs;
  if (settings.deadAfterMs < leastMs) {
    throw new SettingsError(
      `DEAD_AFTER_MS=${settings.deadAfterMs}: must be at least 3 × HEARTBEAT_MS (${leastMs})`,
    );
  }
  return Object.freeze(settings);
}

/** Settings of a worker. Throws SettingsError. */
export function parseWorkerSettings(env: Environment, readFile?: ReadFile): WorkerSettings {
  const values = readEnvironment("worker", env, readFile);
  return Object.freeze({
    ...common(values, { port: 9090, poolSize: 2 }),
    workerName: processName(values, env, "WORKER_NAME"),
    workerRevision: values.get("WORKER_REVISION") as string,
    workerWeight: values.get("WORKER_WEIGHT") as number,
    workerAddress: (values.get("WORKER_ADDRESS") as string | undefined) ?? null,
    controlPlaneUrl: (values.get("CONTROL_PLANE_URL") as string | undefined) ?? null,
    drainTimeoutMs: values.get("DRAIN_TIMEOUT_MS") as number,
    sliceLogLimit: values.get("SLICE_LOG_LIMIT") as number,
  });
}

function common(values: Map<string, unknown>, defaults: { port: number; poolSize: number }): CommonSettings {
  return {
    databaseUrl: values.get("DATABASE_URL") as string,
    redisUrl: values.get("REDIS_URL") as string,
    host: values.get("HOST") as string,
    port: (values.get("PORT") as number | undefined) ?? defaults.port,
    apiToken: (values.get("API_TOKEN") as string | undefined) ?? null,
    heartbeatMs: values.get("HEARTBEAT_MS") as number,
    redisKeyPrefix: values.get("REDIS_KEY_PREFIX") as string,
    pgSchema: values.get("PG_SCHEMA") as string,
    pgPoolSize: (values.get("PG_POOL_SIZE") as number | undefined) ?? defaults.poolSize,
    logLevel: values.get("LOG_LEVEL") as string,
  };
}

/** The name set for it, else the pod's, else host name and pid. */
function processName(values: Map<string, unknown>, env: Environment, name: string): string {
  const set = (values.get(name) as string | undefined) ?? (env["POD_NAME"] || null);
  const host = hostname()
    .replace(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 50);
  return set ?? `${host}-${process.pid}`;
}

export type { ProcessKind };
