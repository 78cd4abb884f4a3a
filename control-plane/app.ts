import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { createApp, listen } from "../core/http/server.js";
import type { Running } from "../core/lifecycle/process.js";
import { Database } from "../core/postgres/database.js";
import { enterFleet } from "../core/postgres/enter-fleet.js";
import { registerPoolMetrics } from "../core/postgres/pool-metrics.js";
import type { ControlPlaneSettings } from "../core/settings/settings.js";
import { type StoreAddresses, storeAddresses } from "../core/settings/store-addresses.js";
import { ControlPlane } from "./control-plane.js";
import { controlPlaneRouters } from "./routers.js";

const STATEMENT_TIMEOUT_MS = 5000;

/** Wires a control-plane replica and starts it: HTTP first, so that it can tell what it waits for. */
export async function startControlPlane(settings: ControlPlaneSettings, log: Logger): Promise<Running> {
  const stores = storeAddresses(settings, log);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const abort = new AbortController();
  let obstacle: string | null = "Postgres";
  let plane: ControlPlane | null = null;
  const routers = controlPlaneRouters({
    settings,
    registry,
    plane: () => plane,
    obstacle: () => obstacle ?? "Postgres",
  });
  const http = await listen(createApp(routers, log), settings.host, settings.port);
  log.info({ url: http.url }, `listening on ${http.url}`);
  const starting = join(settings, stores, log, registry, abort.signal, (what) => {
    obstacle = what;
  }).then((joined) => {
    plane = joined;
    return joined;
  });
  starting.catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return {
    ended: new Promise<number>(() => undefined),
    async stop() {
      abort.abort();
      const joined = await starting.catch(() => null);
      await joined?.stop();
      await http.stop();
    },
  };
}

/** Waits for the schema and starts the replica's loops. */
async function join(
  settings: ControlPlaneSettings,
  stores: StoreAddresses,
  log: Logger,
  registry: Registry,
  signal: AbortSignal,
  describe: (obstacle: string | null) => void,
): Promise<ControlPlane> {
  const db = new Database({
    ...stores.postgres,
    schema: settings.pgSchema,
    applicationName: `ringfleet/${settings.replicaName}`,
    poolSize: settings.pgPoolSize,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onIdleError: (error) => log.debug(`an idle connection to Postgres broke: ${error.message}`),
  });
  registerPoolMetrics(registry, db);
  try {
    const { fleet, incarnation } = await enterFleet(db, log, signal, describe);
    const plane = new ControlPlane({
      settings,
      redis: stores.redis,
      db,
      fleet,
      replica: `${settings.replicaName}/${incarnation}`,
      registry,
      log,
    });
    plane.start();
    return plane;
  } catch (error) {
    await db.close();
    throw error;
  }
}
