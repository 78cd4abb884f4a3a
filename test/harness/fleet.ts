import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { startWatchdog } from "../../cli/stores/watchdog.js";
import { projectRoot } from "../../core/project-root.js";
import { removeFakeTimeLeftovers } from "./faketime.js";

export interface LogLine {
  at: number;
  msg: string;
  [field: string]: unknown;
}

/** A process of the fleet, real, with its log. */
export class FleetProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  readonly raw: string[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  hasExited = false;

  constructor(name: string, script: string, env: Record<string, string>) {
    this.name = name;
    const path = join(projectRoot(), "dist", script);
    if (!existsSync(path)) throw new Error(`${path} is missing: run npm run build first`);
    this.child = spawn(process.execPath, [path], {
      env: { PATH: process.env["PATH"] ?? "", HOST: "127.0.0.1", PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // A test run that is killed must leave nobody behind.
    const watchdog = startWatchdog(this.pid, null, { gentle: "KILL", harsh: "KILL" });
    this.exited = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => {
        this.hasExited = true;
        resolve(
          Promise.all([watchdog.release(), removeFakeTimeLeftovers(this.pid)]).then(() => ({ code, signal })),
        );
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.#take(line));
    }
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    const line = await waitFor(`${this.name} to listen`, () => this.find(/^listening on /), 15_000, this);
    return String(line["url"]);
  }

  find(pattern: RegExp): LogLine | undefined {
    return this.lines.find((line) => pattern.test(line.msg));
  }

  #take(line: string): void {
    this.raw.push(line);
    if (this.raw.length > 20_000) this.raw.shift();
    try {
      this.lines.push({ at: Date.now(), ...(JSON.parse(line) as { msg: string }) });
    } catch {
      this.lines.push({ at: Date.now(), msg: line });
    }
    if (this.lines.length > 20_000) this.lines.shift();
  }
}

/** Polls until `probe` returns something; the error tells what was waited for, and what the process last said. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs: number,
  process?: FleetProcess,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== null && found !== undefined && found !== false) return found;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) {
      const said = process === undefined ? "" : `\n${process.raw.slice(-15).join("\n")}`;
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}${said}`, { cause: lastError });
    }
    await sleep(20);
  }
}

export interface FleetOptions {
  databaseUrl: string;
  /** Straight to the database, past any link under test; databaseUrl where there is none. */
  judgeUrl?: string;
  redisUrl: string;
  env?: Record<string, string>;
}

/** A fleet of real processes for one test. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly processes: FleetProcess[] = [];
  readonly client: pg.Client;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.client = new pg.Client({
      connectionString: options.judgeUrl ?? options.databaseUrl,
      application_name: "judge",
    });
    this.client.on("error", () => undefined);
  }

  worker(name: string, env: Record<string, string> = {}): FleetProcess {
    return this.#start(name, "worker/main.js", { WORKER_NAME: name, SLICE_LOG_LIMIT: "0", ...env });
  }

  controlPlane(name: string, env: Record<string, string> = {}): FleetProcess {
    return this.#start(name, "control-plane/main.js", { REPLICA_NAME: name, ...env });
  }

  /** Starts `count` workers called `prefix1`… */
  workers(count: number, prefix = "worker-", env: Record<string, string> = {}): FleetProcess[] {
    return Array.from({ length: count }, (_, index) => this.worker(`${prefix}${index + 1}`, env));
  }

  #start(name: string, script: string, env: Record<string, string>): FleetProcess {
    const { databaseUrl, redisUrl } = this.#options;
    const started = new FleetProcess(name, script, {
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      ...this.#options.env,
      ...env,
    });
    this.processes.push(started);
    return started;
  }

  running(): FleetProcess[] {
    return this.processes.filter((process) => !process.hasExited);
  }

  /** The newest ring version's seats, as worker names. */
  async seated(): Promise<string[]> {
    const { rows } = await this.client.query<{ workers: string[] }>(
      `SELECT coalesce((SELECT array_agg(seat->>'worker') FROM jsonb_array_elements(body->'seats') seat), '{}') AS workers
       FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1`,
    );
    return rows[0]?.workers ?? [];
  }

  /** Resolves when exactly these workers sit in the newest view, and a tick is sealed with it. */
  async untilSeated(names: readonly string[], timeoutMs = 20_000): Promise<void> {
    const wanted = [...names].sort().join();
    await waitFor(
      `seats of ${wanted}`,
      async () => {
        const { rows } = await this.client.query<{ sealed: boolean }>(
          `SELECT (SELECT ring FROM ticks ORDER BY tick DESC LIMIT 1)
                = (SELECT max(version) FROM versions WHERE kind = 'ring') AS sealed`,
        );
        return rows[0]?.sealed === true && (await this.seated()).sort().join() === wanted;
      },
      timeoutMs,
    ).catch(async (error: unknown) => {
      throw new Error(`${String(error)}; seated: ${(await this.seated()).sort().join()}`);
    });
  }

  /** Epoch ms of the newest sealed tick. */
  async newestTick(): Promise<number> {
    const { rows } = await this.client.query<{ tick: number | null }>(
      "SELECT (extract(epoch FROM max(tick)) * 1000)::float8 AS tick FROM ticks",
    );
    return rows[0]?.tick ?? 0;
  }

  /** Resolves once a tick at or after `tick` is sealed and another one behind it: its rows are settled. */
  async untilTick(tick: number, timeoutMs = 60_000): Promise<void> {
    await waitFor(
      `tick ${new Date(tick).toISOString()}`,
      async () => (await this.newestTick()) >= tick + 2000,
      timeoutMs,
    );
  }

  async ringVersions(): Promise<{ version: number; reason: string; at: number; body: never }[]> {
    const { rows } = await this.client.query(
      `SELECT version::int, reason, (extract(epoch FROM created_at) * 1000)::float8 AS at, body
       FROM versions WHERE kind = 'ring' ORDER BY version`,
    );
    return rows as { version: number; reason: string; at: number; body: never }[];
  }

  /** Ends every process, in order where it can be; none is left when this resolves. */
  async close(): Promise<void> {
    for (const process of this.running()) process.signal("SIGCONT");
    for (const process of this.running()) process.signal("SIGKILL");
    await Promise.all(this.processes.map((process) => process.exited));
    await this.client.end().catch(() => undefined);
  }
}
