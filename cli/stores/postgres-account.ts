import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** A system user as whom a server runs. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * As whom Postgres has to run. Null = as ourselves, which is right for everybody but root, whom Postgres
 * refuses. For root it is the owner of data that is already there, else `postgres`, else `nobody`
 * (initdb insists on an entry in the user database).
 */
export async function choosePostgresAccount(dataOwner: Account | null): Promise<Account | null> {
  if (process.geteuid?.() !== 0) return null;
  if (dataOwner !== null && dataOwner.uid !== 0) return dataOwner;
  const accounts = parsePasswd(await readFile("/etc/passwd", "utf8"));
  const account = ["postgres", "nobody"]
    .map((name) => accounts.find((candidate) => candidate.name === name && candidate.uid !== 0))
    .find((candidate) => candidate !== undefined);
  if (account === undefined) {
    throw new Error(
      "Postgres doesn't run as root, and there is no user postgres or nobody: set DATABASE_URL",
    );
  }
  return account;
}

export function parsePasswd(text: string): Account[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    if (name === undefined || name === "" || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return [];
    return [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

/** Whether the mode bits let this account pass through a folder (spawn gives it no further groups). */
export function mayEnter(folder: { mode: number; uid: number; gid: number }, account: Account): boolean {
  if (folder.uid === account.uid) return (folder.mode & 0o100) !== 0;
  if (folder.gid === account.gid) return (folder.mode & 0o010) !== 0;
  return (folder.mode & 0o001) !== 0;
}

/** The folders on the way to `path` (absolute, without symlinks; itself excluded) that the account can't enter. */
export async function findBlockedFolders(path: string, account: Account): Promise<string[]> {
  const blocked: string[] = [];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!mayEnter(await stat(folder), account)) blocked.unshift(folder);
    if (folder === dirname(folder)) return blocked;
  }
}
