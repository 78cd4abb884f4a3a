import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Account } from "./postgres-account.js";
import type { PostgresBinaries } from "./postgres-binaries.js";
import { findRunningProcess } from "./running-process.js";
import { StoreStartError } from "./store-errors.js";

const run = promisify(execFile);

/** Inside the data folder, so that data and password can't be moved or lost one without the other. */
const PASSWORD_FILE = "ringfleet.password";

/**
 * Makes a data folder where there is none, and returns the password of user postgres. The folder is made
 * beside its place and renamed into it, so that a crash on the way leaves nothing half-made behind.
 */
export async function ensureDataFolder(
  dataDir: string,
  binaries: PostgresBinaries,
  account: Account | null,
  log: (line: string) => void,
): Promise<string> {
  await removeAbandonedDrafts(dataDir);
  const version = await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => null);
  if (version === null) {
    log(`making a Postgres ${binaries.majorVersion} data folder: ${dataDir}`);
    await makeDataFolder(dataDir, binaries, account);
  } else if (version.trim() !== binaries.majorVersion) {
    throw new Error(
      `${dataDir} holds data of Postgres ${version.trim()}, and this is Postgres ${binaries.majorVersion}: ` +
        "dump it with the old version, or move it away to start afresh",
    );
  }
  try {
    return (await readFile(join(dataDir, PASSWORD_FILE), "utf8")).trim();
  } catch (cause) {
    throw new Error(`${join(dataDir, PASSWORD_FILE)}, the password of this data folder, can't be read`, {
      cause,
    });
  }
}

async function makeDataFolder(
  dataDir: string,
  binaries: PostgresBinaries,
  account: Account | null,
): Promise<void> {
  const draft = draftName(dataDir, process.pid);
  // Postgres demands the file; initdb demands an empty folder: it goes in after initdb.
  const passwordFile = `${draft}.password`;
  const password = randomBytes(18).toString("base64url");
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: "wx" });
    if (account !== null) {
      await chown(draft, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    await chmod(draft, 0o700);
    await runInitdb(draft, passwordFile, binaries, account);
    await rename(passwordFile, join(draft, PASSWORD_FILE));
    // An empty folder that the user made in our place is in the way; anything else in it is not ours.
    if ((await lstat(dataDir).catch(() => null)) !== null) await rmdir(dataDir);
    await rename(draft, dataDir);
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

async function runInitdb(
  folder: string,
  passwordFile: string,
  binaries: PostgresBinaries,
  account: Account | null,
): Promise<void> {
  const args = [
    "-D",
    folder,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    // A crash in the next second costs nothing but this folder, which is thrown away then.
    "--no-sync",
  ];
  const as = account === null ? {} : { uid: account.uid, gid: account.gid };
  try {
    await run(binaries.initdb, args, { cwd: "/", env: postgresEnvironment(), ...as });
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    throw new StoreStartError("initdb failed", `${stdout}${stderr}`.trim() || String(cause), { cause });
  }
}

/** What the server and initdb get of our environment: nothing that would point them elsewhere. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}

function draftName(dataDir: string, pid: number): string {
  return `${dataDir}.draft-${pid}`;
}

/** Drafts whose maker died. */
async function removeAbandonedDrafts(dataDir: string): Promise<void> {
  const prefix = `${basename(dataDir)}.draft-`;
  for (const name of await readdir(dirname(dataDir))) {
    const pid = /^(\d+)(\.password)?$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : "")?.[1];
    if (pid === undefined || (await findRunningProcess(Number(pid))) !== null) continue;
    await rm(join(dirname(dataDir), name), { recursive: true, force: true });
  }
}
