import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { startAfterPredecessor, startOnPort } from "./free-port.js";
import { type Account, choosePostgresAccount } from "./postgres-account.js";
import { type PostgresBinaries, preparePostgresBinaries } from "./postgres-binaries.js";
import { findDataOwner, settleDataPlace } from "./postgres-folder.js";
import { ensureDataFolder, postgresEnvironment } from "./postgres-init.js";
import { recordOwner, stopAbandonedServer } from "./postgres-predecessor.js";
import { findRunningProcess } from "./running-process.js";
import {
  lastLines,
  type ServerExit,
  type ServerProcess,
  spawnServer,
  stopServer,
  whileRunning,
} from "./server-process.js";
import { PortTakenError, StoreStartError } from "./store-errors.js";

const START_TIMEOUT_MS = 60_000;
/** How long a restart waits for what the killed server still holds: its port, its shared memory. */
const RELEASE_PATIENCE_MS = 15_000;

export interface PostgresOptions {
  /** Made where it is missing. Where the Postgres user can't reach it, it becomes a symlink. */
  dataDir: string;
  /** On 127.0.0.1; 0 = any free one. */
  port?: number;
  maxConnections?: number;
  /** Further settings of the server, as on its command line. */
  settings?: Readonly<Record<string, string>>;
  /** Further environment of the server. */
  env?: Readonly<Record<string, string>>;
  /** False = a crash of the machine may lose everything (a crash of Postgres alone doesn't): for tests. */
  durable?: boolean;
  log: (line: string) => void;
}

export interface PostgresServer {
  /** Of database postgres as the superuser, with the password. */
  readonly url: string;
  readonly port: number;
  /** Where the data really lies. */
  readonly dataPlace: string;
  readonly logFile: string;
  readonly pid: number;
  /** Settles when the present run of the server ends, for whatever reason. */
  readonly exited: Promise<ServerExit>;
  /** Fast ends all sessions and writes a checkpoint; immediate leaves recovery to the next start. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** As a crash: resolves when no process of the server is left. */
  kill(signal: "SIGKILL"): Promise<void>;
  /** Starts it again on the same port and data; stops it first where it runs. */
  restart(): Promise<void>;
}

interface Installation {
  dataPlace: string;
  logFile: string;
  binaries: PostgresBinaries;
  account: Account | null;
  password: string;
  settings: Readonly<Record<string, string>>;
  env: Readonly<Record<string, string>>;
}

/**
 * Starts the embedded Postgres and returns once it answers queries. The server ends with this process,
 * however this process ends.
 * @throws PortTakenError, DataFolderInUseError, StoreStartError
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const installation = await install(options);
  const first = await startOnPort(options.port ?? 0, (port) => launch(installation, port));
  const { port } = first;
  let current = first.server;
  const stop = async (mode: "fast" | "immediate" = "fast"): Promise<void> => {
    await stopServer(current, [
      ...(mode === "fast" ? [{ signal: "SIGINT" as const, withinMs: 10_000 }] : []),
      { signal: "SIGQUIT", withinMs: 10_000 },
      { signal: "SIGKILL", withinMs: 10_000 },
    ]);
  };
  return {
    url: urlOf(installation, port),
    port,
    dataPlace: installation.dataPlace,
    logFile: installation.logFile,
    get pid() {
      return current.pid;
    },
    get exited() {
      return current.exited;
    },
    stop,
    kill: (signal) => killWithBackends(current, signal),
    restart: async () => {
      await stop();
      current = await startAfterPredecessor(RELEASE_PATIENCE_MS, isHeldByPredecessor, () =>
        launch(installation, port),
      );
    },
  };
}

async function install(options: PostgresOptions): Promise<Installation> {
  const { log } = options;
  const dataDir = resolve(options.dataDir);
  const account = await choosePostgresAccount(await findDataOwner(dataDir));
  const binaries = await preparePostgresBinaries(account, log);
  const dataPlace = await settleDataPlace(dataDir, account, log);
  await stopAbandonedServer(dataPlace, log);
  const password = await ensureDataFolder(dataPlace, binaries, account, log);
  const durability: Record<string, string> =
    options.durable === false ? { fsync: "off", full_page_writes: "off" } : {};
  return {
    dataPlace,
    logFile: join(dirname(dataDir), `${basename(dataDir)}.log`),
    binaries,
    account,
    password,
    settings: { max_connections: String(options.maxConnections ?? 300), ...durability, ...options.settings },
    env: options.env ?? {},
  };
}

/** A killed server's port, and the shared memory of its last backends, may be held a moment longer. */
function isHeldByPredecessor(error: unknown): boolean {
  if (error instanceof PortTakenError) return true;
  return error instanceof StoreStartError && error.message.includes("pre-existing shared memory block");
}

async function launch(installation: Installation, port: number): Promise<ServerProcess> {
  const { dataPlace, account, logFile } = installation;
  await recordOwner(dataPlace);
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    ...installation.settings,
  };
  const server = await spawnServer({
    command: installation.binaries.postgres,
    args: [
      "-D",
      dataPlace,
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    account,
    env: { ...postgresEnvironment(), ...installation.env },
    logFile,
    ownerDeathSignals: { gentle: "INT", harsh: "QUIT" },
  });
  try {
    await waitForQueries(server, installation, port);
    return server;
  } catch (error) {
    await stopServer(server, [
      { signal: "SIGQUIT", withinMs: 10_000 },
      { signal: "SIGKILL", withinMs: 10_000 },
    ]);
    const logged = await server.readLog();
    if (/could not bind .*: Address already in use/.test(logged)) throw new PortTakenError("Postgres", port);
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreStartError(`Postgres did not start (${reason})`, lastLines(logged), { cause: error });
  }
}

async function waitForQueries(
  server: ServerProcess,
  installation: Installation,
  port: number,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let last: unknown;
  while (server.isRunning()) {
    try {
      await whileRunning(server, provePostgres(installation, port));
      return;
    } catch (error) {
      last = error;
      // Wrong password: not our data, or, for a moment, not our server; then ours is about to give up.
      const final = (error as { code?: string }).code === "28P01" || performance.now() > deadline;
      if (final && !(await endsWithin(server, 2_000))) throw error;
    }
    await sleep(25);
  }
  throw new Error("it ended by itself", { cause: last });
}

/** Throws unless the server on this port answers a query and works on our data. */
async function provePostgres(installation: Installation, port: number): Promise<void> {
  const client = new pg.Client({
    connectionString: urlOf(installation, port),
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
    application_name: "ringfleet/start",
  });
  // A connection that breaks between two calls reports that here; the next call fails for it anyway.
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>("SHOW data_directory");
    if (rows[0]?.data_directory !== installation.dataPlace)
      throw new Error(`port ${port} is another Postgres's`);
  } finally {
    await client.end();
  }
}

async function endsWithin(server: ServerProcess, ms: number): Promise<boolean> {
  return await Promise.race([server.exited.then(() => true), sleep(ms, false)]);
}

/** A killed postmaster's children notice its death by themselves; who restarts must not overtake them. */
async function killWithBackends(server: ServerProcess, signal: "SIGKILL"): Promise<void> {
  const list = `/proc/${server.pid}/task/${server.pid}/children`;
  const backends = (await readFile(list, "utf8").catch(() => "")).split(" ").filter(Boolean).map(Number);
  server.send(signal);
  await server.exited;
  const deadline = performance.now() + RELEASE_PATIENCE_MS;
  for (const backend of backends) {
    while ((await findRunningProcess(backend)) !== null && performance.now() < deadline) await sleep(10);
  }
}

function urlOf(installation: Installation, port: number): string {
  return `postgresql://postgres:${installation.password}@127.0.0.1:${port}/postgres`;
}
