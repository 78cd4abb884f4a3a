import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { freemem } from "node:os";
import { join, resolve } from "node:path";
import { CliError, EXIT } from "../cli-error.js";
import { findRunningProcess } from "../stores/running-process.js";
import { checkCapacity } from "./capacity.js";
import { startControlServer } from "./control-server.js";
import { prepareDatabase } from "./first-rows.js";
import { LocalFleet } from "./local-fleet.js";
import { type LocalStores, startLocalStores } from "./local-stores.js";
import type { LogView } from "./log-view.js";
import { readUpState, removeUpState, STATE_FOLDER, writeUpState } from "./state-file.js";
import { welcome } from "./welcome.js";

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
export async function startUp(options: UpOptions, view: LogView): Promise<RunningUp> {
  checkCapacity(options.workers, freemem() / 2 ** 20);
  const folder = resolve(options.dir ?? STATE_FOLDER);
  await refuseSecondUp(folder);
  await refuseTakenPort(options.port);
  mkdirSync(join(folder), { recursive: true });
  const say = (line: string) => view.say(line);
  const stores = await startLocalStores(folder, process.env, say);
  try {
    return await startFleet(options, view, folder, stores);
  } catch (error) {
    await stores.stop();
    throw error;
  }
}

async function startFleet(
  options: UpOptions,
  view: LogView,
  folder: string,
  stores: LocalStores,
): Promise<RunningUp> {
  const token = randomBytes(24).toString("base64url");
  const schema = process.env["PG_SCHEMA"] || "public";
  let end: (exitCode: number) => void = () => undefined;
  const ended = new Promise<number>((done) => {
    end = done;
  });
  const fleet = new LocalFleet({
    env: {
      DATABASE_URL: stores.databaseUrl,
      REDIS_URL: stores.redisUrl,
      API_TOKEN: token,
      HOST: "127.0.0.1",
      WORKER_REVISION: process.env["WORKER_REVISION"] || "up",
      // All start at the same moment on the same machine: half a second tells them all.
      JOIN_SETTLE_MS: process.env["JOIN_SETTLE_MS"] || "500",
    },
    view,
    onHopeless: (name, how) => {
      view.say(`${name} ${how}: the fleet can't run like this`, "error");
      end(EXIT.usage);
    },
    onChange: () => saveState(),
  });
  const control = await startControlServer({
    token,
    async scale(workers) {
      const more = Math.max(0, workers - fleet.workerNames.length);
      checkCapacity(workers, freemem() / 2 ** 20 + (workers - more) * 100);
      view.say(`scaling from ${fleet.workerNames.length} to ${workers} workers`);
      await fleet.scale(workers);
      return fleet.workerNames;
    },
  });
  const self = await findRunningProcess(process.pid);
  const startedAt = new Date().toISOString();
  function saveState(): void {
    if (self === null) return;
    writeUpState(folder, {
      pid: process.pid,
      startMark: self.startMark,
      startedAt,
      controlPlaneUrls: fleet.controlPlaneUrls,
      databaseUrl: stores.databaseUrl,
      redisUrl: stores.redisUrl,
      controlUrl: control.url,
      token,
    });
  }
  // The processes wait for the schema by themselves, so they start while it is made.
  fleet.startControlPlanes(options.controlPlanes, options.port);
  const starting = fleet.scale(options.workers);
  const prepared = await prepareDatabase(stores.databaseUrl, schema, options.rows, "ringfleet up").catch(
    async (error: unknown) => {
      fleet.kill();
      await control.stop();
      removeUpState(folder);
      throw error;
    },
  );
  await starting;
  saveState();
  for (const line of welcome(options, stores, prepared.insertedRows)) view.say(line);
  return {
    ended,
    async stop() {
      await control.stop();
      await fleet.stop();
      await stores.stop();
      removeUpState(folder);
    },
    kill() {
      fleet.kill();
      stores.kill();
      removeUpState(folder);
    },
  };
}

async function refuseSecondUp(folder: string): Promise<void> {
  const state = readUpState(folder);
  if (state === null) return;
  const running = await findRunningProcess(state.pid);
  if (running?.startMark !== state.startMark) return;
  throw new CliError(
    "already_up",
    `another \`ringfleet up\` (pid ${state.pid}) runs in ${folder}: use it (ringfleet status, ringfleet scale N), ` +
      "stop it, or give this one a folder of its own with --dir",
    EXIT.usage,
  );
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
