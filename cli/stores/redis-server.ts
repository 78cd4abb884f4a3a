import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { startAfterPredecessor, startOnPort } from "./free-port.js";
import { ensureRedisServer } from "./redis-install.js";
import {
  lastLines,
  type ServerExit,
  type ServerProcess,
  spawnServer,
  stopServer,
  whileRunning,
} from "./server-process.js";
import { PortTakenError, StoreStartError } from "./store-errors.js";

const START_TIMEOUT_MS = 15_000;
const RELEASE_PATIENCE_MS = 5_000;

export interface RedisOptions {
  /** Of its log, redis.log; Redis itself keeps nothing on disk. */
  dir: string;
  /** On 127.0.0.1; 0 = any free one. */
  port?: number;
  /** Further arguments of redis-server. */
  args?: readonly string[];
  log: (line: string) => void;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly logFile: string;
  readonly pid: number;
  /** Settles when the present run of the server ends, for whatever reason. */
  readonly exited: Promise<ServerExit>;
  stop(): Promise<void>;
  kill(signal: "SIGKILL"): Promise<void>;
  /** Starts it again on the same port, empty; stops it first where it runs. */
  restart(): Promise<void>;
}

interface Setup {
  command: string;
  dir: string;
  logFile: string;
  args: readonly string[];
}

/**
 * Starts redis-server (installed first where it is missing, see ensureRedisServer) and returns once it
 * answers. The server ends with this process, however this process ends.
 * @throws RedisMissingError, PortTakenError, StoreStartError
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const dir = resolve(options.dir);
  const command = await ensureRedisServer({ log: options.log });
  await mkdir(dir, { recursive: true });
  const setup: Setup = { command, dir, logFile: join(dir, "redis.log"), args: options.args ?? [] };
  const first = await startOnPort(options.port ?? 0, (port) => launch(setup, port));
  const { port } = first;
  let current = first.server;
  const stop = () =>
    stopServer(current, [
      { signal: "SIGTERM", withinMs: 3_000 },
      { signal: "SIGKILL", withinMs: 3_000 },
    ]);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    logFile: setup.logFile,
    get pid() {
      return current.pid;
    },
    get exited() {
      return current.exited;
    },
    stop,
    kill: (signal) => stopServer(current, [{ signal, withinMs: 3_000 }]),
    restart: async () => {
      await stop();
      current = await startAfterPredecessor(
        RELEASE_PATIENCE_MS,
        (error) => error instanceof PortTakenError,
        () => launch(setup, port),
      );
    },
  };
}

async function launch(setup: Setup, port: number): Promise<ServerProcess> {
  const settings = {
    bind: "127.0.0.1",
    port: String(port),
    "protected-mode": "yes",
    save: "",
    appendonly: "no",
    daemonize: "no",
    logfile: "",
    dir: setup.dir,
  };
  const server = await spawnServer({
    command: setup.command,
    args: [...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]), ...setup.args],
    account: null,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C" },
    logFile: setup.logFile,
    ownerDeathSignals: { gentle: "TERM", harsh: "KILL" },
  });
  try {
    await waitForAnswer(server, port);
    return server;
  } catch (error) {
    await stopServer(server, [{ signal: "SIGKILL", withinMs: 3_000 }]);
    const logged = await server.readLog();
    if (/bind: Address already in use/.test(logged)) throw new PortTakenError("Redis", port);
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreStartError(`Redis did not start (${reason})`, lastLines(logged), { cause: error });
  }
}

async function waitForAnswer(server: ServerProcess, port: number): Promise<void> {
  const client = new Redis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    retryStrategy: null,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
    maxRetriesPerRequest: 0,
  });
  // Each refused attempt is an event, too; connect() and info() reject for it.
  client.on("error", () => {});
  const deadline = performance.now() + START_TIMEOUT_MS;
  try {
    while (server.isRunning()) {
      try {
        if (client.status !== "ready") await whileRunning(server, client.connect());
        const info = await whileRunning(server, client.info("server"));
        // Somebody else's Redis may answer on a port that ours is just failing to get.
        if (info.includes(`process_id:${server.pid}\r\n`)) return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      if (performance.now() > deadline) throw new Error("it doesn't answer");
      await sleep(10);
    }
    throw new Error("it ended by itself");
  } finally {
    client.disconnect();
  }
}
