import { hostname } from "node:os";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { healthRouter } from "../core/http/health.js";
import { createApp, type HttpServer, listen } from "../core/http/server.js";
import type { Running } from "../core/lifecycle/process.js";
import { Database } from "../core/postgres/database.js";
import { type Entry, enterFleet } from "../core/postgres/enter-fleet.js";
import { registerPoolMetrics } from "../core/postgres/pool-metrics.js";
import type { WorkerSettings } from "../core/settings/settings.js";
import { type StoreAddresses, storeAddresses } from "../core/settings/store-addresses.js";
import { sliceRouter } from "./slice/slice-route.js";
import { Worker } from "./worker.js";

/** A tick loop that makes no round for this long is stuck. */
const STUCK_AFTER_MS = 10_000;

/** Wires a worker and starts it: HTTP first, so that it can tell what it waits for. */
export async function startWorker(settings: WorkerSettings, log: Logger): Promise<Running> {
  const stores = storeAddresses(settings, log);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const abort = new AbortController();
  let obstacle: string | null = "Postgres";
  let worker: Worker | null = null;
  const http = await listen(
    createApp(
      [
        healthRouter({
          live: () => worker?.stuckFor(STUCK_AFTER_MS) ?? null,
          ready: () => (worker === null ? [obstacle ?? "Postgres"] : worker.missing()),
          registry,
        }),
        sliceRouter(() => worker),
      ],
      log,
    ),
    settings.host,
    settings.port,
  );
  log.info({ url: http.url }, `listening on ${http.url}`);
  let end: (exitCode: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const starting = join(settings, stores, log, registry, http, abort.signal, end, (what) => {
    obstacle = what;
  }).then((joined) => {
    worker = joined;
    return joined;
  });
  starting.catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return {
    ended,
    async stop() {
      abort.abort();
      const joined = await starting.catch(() => null);
      await joined?.stop();
      await http.stop();
    },
  };
}

/** Waits for the schema, takes an incarnation, and starts to beat and to tick. */
async function join(
  settings: WorkerSettings,
  stores: StoreAddresses,
  log: Logger,
  registry: Registry,
  http: HttpServer,
  signal: AbortSignal,
  end: (exitCode: number) => void,
  describe: (obstacle: string | null) => void,
): Promise<Worker> {
  const options = { ...stores.postgres, schema: settings.pgSchema, statementTimeoutMs: 3000 };
  const first = new Database({
    ...options,
    applicationName: `ringfleet/${settings.workerName}/0`,
    poolSize: 1,
  });
  let entry: Entry;
  try {
    entry = await enterFleet(first, log, signal, describe);
  } finally {
    await first.close();
  }
  const { fleet, incarnation } = entry;
  const db = new Database({
    ...options,
    applicationName: `ringfleet/${settings.workerName}/${incarnation}`,
    poolSize: settings.pgPoolSize,
    onIdleError: (error) => log.debug(`an idle connection to Postgres broke: ${error.message}`),
  });
  registerPoolMetrics(registry, db);
  const worker = new Worker({
    settings,
    stores,
    db,
    fleet,
    incarnation,
    address: settings.workerAddress ?? http.url,
    host: hostname(),
    registry,
    log: log.child({ incarnation }),
    onSuperseded: () => end(4),
  });
  worker.start();
  return worker;
}
