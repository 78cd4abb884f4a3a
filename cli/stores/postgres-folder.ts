import { createHash } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import { type Account, findBlockedFolders } from "./postgres-account.js";
import { SYSTEM_FOLDER } from "./postgres-binaries.js";
import { stopAbandonedServer } from "./postgres-predecessor.js";

/** The owner of the folder in which data already lies, or null where there is none yet. */
export async function findDataOwner(dataDir: string): Promise<Account | null> {
  const found = await stat(join(dataDir, "PG_VERSION")).catch(() => null);
  return found === null ? null : { name: `number ${found.uid}`, uid: found.uid, gid: found.gid };
}

/**
 * Where the data of `dataDir` really lies (absolute). That is `dataDir` itself wherever the account can
 * get there; else it is a folder of SYSTEM_FOLDER, and `dataDir` becomes a symlink to it.
 */
export async function settleDataPlace(
  dataDir: string,
  account: Account | null,
  log: (line: string) => void,
): Promise<string> {
  const made = await mkdir(dirname(dataDir), { recursive: true });
  const firstMade = made === undefined ? undefined : await realpath(made);
  const parent = await realpath(dirname(dataDir));
  const wanted = join(parent, basename(dataDir));
  const existing = await lstat(wanted).catch(() => null);
  if (existing?.isSymbolicLink()) {
    const target = resolve(parent, await readlink(wanted));
    await mkdir(dirname(target), { recursive: true });
    await refuseForeignData(target);
    return target;
  }
  await refuseForeignData(wanted);
  if (account === null) return wanted;
  const blocked = await findBlockedFolders(wanted, account);
  if (blocked.length === 0) return wanted;
  const ours = await Promise.all(
    blocked.map(async (folder) => isWithin(folder, firstMade) || (await isOwnTemporaryFolder(folder))),
  );
  if (ours.every(Boolean)) {
    for (const folder of blocked) await chmod(folder, (await stat(folder)).mode | 0o111);
    return wanted;
  }
  if (existing !== null && (await readdir(wanted)).length > 0) {
    throw new Error(
      `user ${account.name}, as whom Postgres runs for root, can't enter ${blocked[0]} to reach ${wanted}`,
    );
  }
  return await moveToSystemFolder(wanted, log);
}

/** An ordinary user can't work on the data that another user's Postgres made. */
async function refuseForeignData(folder: string): Promise<void> {
  const self = process.geteuid?.();
  if (self === undefined || self === 0) return;
  const found = await stat(folder).catch(() => null);
  if (found === null || found.uid === self) return;
  throw new Error(
    `the data in ${folder} belongs to user number ${found.uid}: start as that user, or as root`,
  );
}

function isWithin(folder: string, ancestor: string | undefined): boolean {
  return ancestor !== undefined && (folder === ancestor || folder.startsWith(ancestor + sep));
}

/** A folder such as mkdtemp makes (mode 0700): opening it to passers-through opens nothing of the user's. */
async function isOwnTemporaryFolder(folder: string): Promise<boolean> {
  const temporary = await realpath(tmpdir());
  return folder.startsWith(temporary + sep) && (await stat(folder)).uid === process.geteuid?.();
}

async function moveToSystemFolder(wanted: string, log: (line: string) => void): Promise<string> {
  const hash = createHash("sha256").update(wanted).digest("hex").slice(0, 16);
  const target = join(SYSTEM_FOLDER, `data-${hash}`);
  await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o755 });
  await chmod(SYSTEM_FOLDER, 0o755);
  if ((await lstat(target).catch(() => null)) !== null) {
    // Who removed the link meant to start afresh; what lay behind it is set aside, once.
    await stopAbandonedServer(target, log);
    await rm(`${target}.old`, { recursive: true, force: true });
    await rename(target, `${target}.old`);
    log(`${wanted} was removed: its data is now in ${target}.old`);
  }
  await rmdir(wanted).catch(() => {});
  await symlink(target, wanted);
  log(`Postgres keeps its data in ${target}: its user can't enter ${dirname(wanted)}`);
  return target;
}
