import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, open, rename, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account } from "./postgres-account.js";
import { startWatchdog } from "./watchdog.js";

const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
const LOG_TAIL_LINES = 15;

export interface ServerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the server (and the watchdog over it) has ended, however it came to that. */
  readonly exited: Promise<ServerExit>;
  isRunning(): boolean;
  send(signal: NodeJS.Signals): void;
  /** What it logged since this start, at most the last 64 kB. */
  readLog(): Promise<string>;
}

/**
 * Spawns a server in a session of its own, so that Ctrl-C in the terminal doesn't reach it before its
 * owner has drained; a watchdog stops it should the owner die first.
 */
export async function spawnServer(options: {
  command: string;
  args: readonly string[];
  /** Who runs it; null = the same user as this process. */
  account: Account | null;
  env: NodeJS.ProcessEnv;
  logFile: string;
  ownerDeathSignals: { gentle: string; harsh: string };
}): Promise<ServerProcess> {
  const { account, logFile } = options;
  await rotateLog(logFile);
  const log = await open(logFile, "a", 0o600);
  try {
    const logStart = (await log.stat()).size;
    const child = spawn(options.command, options.args, {
      cwd: "/",
      detached: true,
      env: options.env,
      stdio: ["ignore", log.fd, log.fd],
      ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
    });
    await once(child, "spawn");
    const pid = child.pid;
    if (pid === undefined) throw new Error(`${options.command} has no pid`);
    const watchdog = startWatchdog(pid, account, options.ownerDeathSignals);
    const isRunning = () => child.exitCode === null && child.signalCode === null;
    const exited = new Promise<void>((resolve) => {
      if (!isRunning()) resolve();
      child.once("exit", () => resolve());
    }).then(async () => {
      await watchdog.release();
      return { code: child.exitCode, signal: child.signalCode };
    });
    return {
      pid,
      exited,
      isRunning,
      send: (signal) => {
        if (isRunning()) child.kill(signal);
      },
      readLog: () => readFrom(logFile, logStart),
    };
  } finally {
    await log.close();
  }
}

/** What `probe` gives, or an error as soon as the server ends. */
export async function whileRunning<T>(server: ServerProcess, probe: Promise<T>): Promise<T> {
  const ended = server.exited.then(() => {
    throw new Error("it ended by itself");
  });
  return await Promise.race([probe, ended]);
}

/** Sends each signal in turn until the server is gone, waiting `withinMs` after each but the last. */
export async function stopServer(
  server: ServerProcess,
  steps: readonly { signal: NodeJS.Signals; withinMs: number }[],
): Promise<void> {
  for (const step of steps) {
    if (!server.isRunning()) break;
    server.send(step.signal);
    const patience = new AbortController();
    await Promise.race([
      server.exited,
      sleep(step.withinMs, undefined, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
  }
  await server.exited;
}

/** The last lines of a log text. */
export function lastLines(text: string, count = LOG_TAIL_LINES): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

/** Sets a big log aside, and one that root left here, which an ordinary user can't go on with. */
async function rotateLog(logFile: string): Promise<void> {
  const found = await stat(logFile).catch(() => null);
  if (found === null) return;
  const isWritable = await access(logFile, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (found.size > LOG_LIMIT_BYTES || !isWritable) await rename(logFile, `${logFile}.1`);
}

async function readFrom(file: string, start: number): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const from = Math.max(start, size - 64 * 1024);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}
