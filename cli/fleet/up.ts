import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { redisAddress } from "../../core/redis/address.js";
import type { Environment } from "../../core/settings/environment.js";
import { parseControlPlaneSettings, parseWorkerSettings } from "../../core/settings/settings.js";
import { CliError, EXIT } from "../cli-error.js";
import { onDatabase } from "../database-errors.js";
import { databaseUrlOf, readEnvironment, schemaName, withSettings } from "../environment.js";
import { checkCapacity, checkConnections } from "./capacity.js";
import { startControlServer } from "./control-server.js";
import { prepareDatabase } from "./first-rows.js";
import { claimFolder, refuseClaimedFolder } from "./folder-claim.js";
import { LocalFleet } from "./local-fleet.js";
import { type LocalStores, startLocalStores } from "./local-stores.js";
import type { LogView } from "./log-view.js";
import { removeUpState, STATE_FOLDER, writeUpState } from "./state-file.js";
import { welcome } from "./welcome.js";

/** Levels that a user may ask for; `up` reads what "info" says, so nothing above it will do. */
const VERBOSE: ReadonlySet<string> = new Set(["debug", "trace"]);

export interface UpOptions {
  workers: number;
  controlPlanes: number;
  rows: number;
  port: number;
  /** State folder; default `.ringfleet` in the current one. */
  dir?: string;
}

export interface RunningUp {
  /** Resolves with the exit code when the fleet can't go on by itself. */
  ended: Promise<number>;
  /** Drains everything; resolves when no process is left. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

/** Starts a whole fleet on this machine. Throws CliError, having started nothing or stopped it again. */
export async function startUp(options: UpOptions, view: LogView, env: Environment): Promise<RunningUp> {
  const named = {
    databaseUrl: databaseUrlOf(env),
    redisUrl: readEnvironment("redisUrl", env),
  };
  checkSettings(env, named.redisUrl);
  checkCapacity(options.workers);
  const folder = resolve(options.dir ?? STATE_FOLDER);
  // First: the port is taken by that `up`, most likely.
  await refuseClaimedFolder(folder);
  await refuseTakenPort(options.port);
  if (named.databaseUrl !== null) await checkDatabase(named.databaseUrl, options, env);
  const claim = await claimFolder(folder);
  let stores: LocalStores | null = null;
  try {
    stores = await startLocalStores(folder, named, (line, level) => view.say(line, level));
    return await startFleet({ options, view, env, folder, stores, claim });
  } catch (error) {
    await stores?.stop();
    claim.release();
    throw error;
  }
}

interface Surroundings {
  options: UpOptions;
  view: LogView;
  env: Environment;
  folder: string;
  stores: LocalStores;
  claim: { startMark: string; release: () => void };
}

async function startFleet(surroundings: Surroundings): Promise<RunningUp> {
  const { options, view, env, folder, stores, claim } = surroundings;
  const token = readEnvironment("apiToken", env) ?? randomBytes(24).toString("base64url");
  const schema = schemaName(env);
  let end: (exitCode: number) => void = () => undefined;
  const ended = new Promise<number>((done) => {
    end = done;
  });
  const fleet = new LocalFleet({
    env: processEnvironment(env, stores, token),
    view,
    onHopeless: (exitCode) => end(exitCode),
    onChange: () => saveState(),
  });
  const control = await startControlServer({
    token,
    async scale(workers) {
      const running = fleet.workerNames.length;
      checkCapacity(workers, running);
      if (!stores.hasOwnPostgres && workers > running) {
        const more = { workers: workers - running, controlPlanes: 0 };
        await checkConnections(stores.databaseUrl, schema, more);
      }
      view.say(`scaling from ${running} to ${workers} workers`);
      await fleet.scale(workers);
      return fleet.workerNames;
    },
  });
  const startedAt = new Date().toISOString();
  function saveState(): void {
    writeUpState(folder, {
      pid: process.pid,
      startMark: claim.startMark,
      startedAt,
      controlPlaneUrls: fleet.controlPlaneUrls,
      databaseUrl: stores.databaseUrl,
      redisUrl: stores.redisUrl,
      controlUrl: control.url,
      token,
    });
  }
  const clean = () => {
    removeUpState(folder);
    claim.release();
  };
  // The processes wait for the schema by themselves, so they start while it is made.
  fleet.startControlPlanes(options.controlPlanes, options.port);
  const starting = fleet.scale(options.workers);
  try {
    const { insertedRows } = await prepareDatabase(stores.databaseUrl, schema, options.rows);
    await starting;
    saveState();
    for (const line of welcome(options, stores, insertedRows)) view.say(line);
  } catch (error) {
    fleet.kill();
    await Promise.all([control.stop(), fleet.stop()]);
    clean();
    throw error;
  }
  return {
    ended,
    async stop() {
      // At once: a scale under way is waited for by the control server, and cut short by the fleet's end.
      await Promise.all([control.stop(), fleet.stop()]);
      await stores.stop();
      clean();
    },
    kill() {
      fleet.kill();
      stores.kill();
      clean();
    },
  };
}

/** What every process of this fleet is started with. */
function processEnvironment(env: Environment, stores: LocalStores, token: string): NodeJS.ProcessEnv {
  const logLevel = env["LOG_LEVEL"] ?? "";
  const setsJoinSettle = Boolean(env["JOIN_SETTLE_MS"] || env["JOIN_SETTLE_MS_FILE"]);
  return withSettings(env, {
    // All start at the same moment on the same machine: half a second gathers them.
    ...(setsJoinSettle ? {} : { JOIN_SETTLE_MS: "500" }),
    // The URL says it all; a server of our own has no password, no TLS and no sentinels.
    ...nothing("PG_SSL_MODE", "PG_SSL_CA_FILE", "PG_SSL_CERT_FILE", "PG_SSL_KEY_FILE"),
    ...(stores.hasOwnRedis
      ? nothing(
          "REDIS_PASSWORD",
          "REDIS_TLS_CA_FILE",
          "REDIS_TLS_CERT_FILE",
          "REDIS_TLS_KEY_FILE",
          "REDIS_SENTINELS",
        )
      : {}),
    DATABASE_URL: stores.databaseUrl,
    REDIS_URL: stores.redisUrl,
    API_TOKEN: token,
    HOST: "127.0.0.1",
    PORT: "0",
    WORKER_REVISION: readEnvironment("workerRevision", env) ?? "up",
    LOG_LEVEL: VERBOSE.has(logLevel) ? logLevel : "info",
  });
}

/** A setting that no process would start with is told before anything is started. Throws SettingsError. */
function checkSettings(env: Environment, redisUrl: string | null): void {
  const stores = { DATABASE_URL: "postgres://checked", REDIS_URL: redisUrl ?? "redis://checked" };
  parseControlPlaneSettings(withSettings(env, stores));
  const settings = parseWorkerSettings(withSettings(env, stores));
  if (redisUrl !== null) redisAddress(settings, () => undefined);
}

function nothing(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, ""]));
}

async function checkDatabase(url: string, options: UpOptions, env: Environment): Promise<void> {
  await onDatabase(url, () => checkConnections(url, schemaName(env), options));
}

/** Told before anything is started. */
async function refuseTakenPort(port: number): Promise<void> {
  if (port === 0) return;
  await new Promise<void>((done, fail) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const why = taken ? "something else listens there" : error.message;
      fail(
        new CliError(
          taken ? "port_taken" : "port_unusable",
          `port ${port} can't be used: ${why}; name another with --port, or 0 for any free one`,
          EXIT.usage,
        ),
      );
    });
    probe.listen(port, "127.0.0.1", () => probe.close(() => done()));
  });
}
