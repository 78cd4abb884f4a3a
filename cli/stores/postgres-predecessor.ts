import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findRunningProcess, type RunningProcess } from "./running-process.js";
import { DataFolderInUseError } from "./store-errors.js";

/** In the data folder: which process started the server there, so that a later one can tell an orphan. */
const OWNER_FILE = "ringfleet.owner";
const FAST_STOP_MS = 10_000;
const IMMEDIATE_STOP_MS = 8_000;

interface Owner {
  pid: number;
  startMark: string;
}

/**
 * Makes sure that no server works on this data folder: one whose owner died is stopped; one whose owner
 * lives, or which somebody started by hand, is a DataFolderInUseError. A stale lock file of a server that
 * is gone is left for Postgres, which knows how to judge it.
 */
export async function stopAbandonedServer(dataDir: string, log: (line: string) => void): Promise<void> {
  const postmaster = await findPostmaster(dataDir);
  if (postmaster === null) return;
  const owner = await readOwner(dataDir);
  if (owner === null) {
    throw new DataFolderInUseError(
      `a Postgres (pid ${postmaster.pid}) that ringfleet didn't start runs on ${dataDir}: stop it first`,
    );
  }
  if ((await findRunningProcess(owner.pid))?.startMark === owner.startMark) {
    throw new DataFolderInUseError(
      `another ringfleet up runs here (pid ${owner.pid}): its data is in ${dataDir}`,
    );
  }
  log(`stopping the Postgres (pid ${postmaster.pid}) that a killed ringfleet left behind`);
  for (const [signal, withinMs] of [
    ["SIGINT", FAST_STOP_MS],
    ["SIGQUIT", IMMEDIATE_STOP_MS],
    ["SIGKILL", IMMEDIATE_STOP_MS],
  ] as const) {
    if (await stopWithin(postmaster, signal, withinMs)) return;
  }
  throw new DataFolderInUseError(`the Postgres (pid ${postmaster.pid}) on ${dataDir} can't be stopped`);
}

/** Notes that this process is about to start the server of this data folder. */
export async function recordOwner(dataDir: string): Promise<void> {
  const self = await findRunningProcess(process.pid);
  const owner: Owner = { pid: process.pid, startMark: self?.startMark ?? "" };
  // Anew each time: root's file could not be overwritten by the ordinary user whose folder this is.
  await rm(join(dataDir, OWNER_FILE), { force: true });
  await writeFile(join(dataDir, OWNER_FILE), `${JSON.stringify(owner)}\n`, { mode: 0o644 });
}

/** The pid in a postmaster.pid, or null where it says nothing usable. */
export function parsePostmasterPid(text: string): number | null {
  const pid = Number(text.split("\n", 1)[0]);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
}

async function findPostmaster(dataDir: string): Promise<RunningProcess | null> {
  const lockFile = join(dataDir, "postmaster.pid");
  const lock = await readFile(lockFile, "utf8").catch(() => null);
  const pid = lock === null ? null : parsePostmasterPid(lock);
  const running = pid === null ? null : await findRunningProcess(pid);
  if (running === null) return null;
  // After a reboot (of a container: quickly) the pid belongs to anything. Postgres would take any process
  // of its user for the old server and refuse to start.
  if (!running.command.includes("postgres")) await rm(lockFile, { force: true });
  return running.command.includes(dataDir) ? running : null;
}

async function readOwner(dataDir: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(join(dataDir, OWNER_FILE), "utf8")) as Owner;
  } catch {
    return null;
  }
}

async function stopWithin(
  target: RunningProcess,
  signal: NodeJS.Signals,
  withinMs: number,
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (let sent = false; performance.now() < deadline; await sleep(50)) {
    if ((await findRunningProcess(target.pid))?.startMark !== target.startMark) return true;
    if (!sent) {
      try {
        process.kill(target.pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
      sent = true;
    }
  }
  return false;
}
