import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CliError, EXIT } from "../cli-error.js";
import { findRunningProcess } from "../stores/running-process.js";
import { makeFolder } from "./make-folder.js";

/** Which process has the folder, from its first moment on; `up.json` comes only once there is something to say. */
const FILE = "up.lock";

interface Claimant {
  pid: number;
  /** Differs between two processes that had the same pid. */
  startMark: string;
}

/** Throws CliError where another `up` runs in this folder; makes nothing. */
export async function refuseClaimedFolder(folder: string): Promise<void> {
  const holder = readClaim(join(folder, FILE));
  if (holder !== null && (await isRunning(holder))) throw alreadyUp(holder, folder);
}

/**
 * Makes the folder this process's own until `release`. A claim that a killed `up` left behind doesn't count.
 * Throws CliError where another `up` runs here.
 */
export async function claimFolder(folder: string): Promise<{ startMark: string; release: () => void }> {
  const self = await findRunningProcess(process.pid);
  const claim: Claimant = { pid: process.pid, startMark: self?.startMark ?? "" };
  const path = join(folder, FILE);
  try {
    makeFolder(folder);
  } catch (error) {
    throw unusable(error);
  }
  while (!created(path, claim)) {
    const holder = readClaim(path);
    if (holder !== null && (await isRunning(holder))) throw alreadyUp(holder, folder);
    rmSync(path, { force: true });
  }
  return { startMark: claim.startMark, release: () => rmSync(path, { force: true }) };
}

async function isRunning({ pid, startMark }: Claimant): Promise<boolean> {
  return (await findRunningProcess(pid))?.startMark === startMark;
}

function alreadyUp({ pid }: Claimant, folder: string): CliError {
  return new CliError(
    "already_up",
    `another \`ringfleet up\` (pid ${pid}) runs in ${folder}: use it (ringfleet status, ringfleet scale N), ` +
      "stop it, or give this one a folder of its own with --dir",
    EXIT.usage,
  );
}

function created(path: string, claim: Claimant): boolean {
  try {
    writeFileSync(path, JSON.stringify(claim), { flag: "wx", mode: 0o644 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw unusable(error);
  }
}

function unusable(error: unknown): CliError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CliError("folder_unusable", `the state folder can't be used: ${reason}`, EXIT.usage, {
    cause: error,
  });
}

function readClaim(path: string): Claimant | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Claimant;
  } catch {
    return null;
  }
}
