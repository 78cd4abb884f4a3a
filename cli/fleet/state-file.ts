import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { makeFolder } from "./make-folder.js";

/** What a running `up` tells the other commands, in `.ringfleet/up.json` (readable by its owner alone). */
const upStateSchema = z.object({
  pid: z.int(),
  /** Differs between two processes that had the same pid. */
  startMark: z.string(),
  startedAt: z.string(),
  controlPlaneUrls: z.array(z.string()),
  databaseUrl: z.string(),
  redisUrl: z.string(),
  /** The running `up` itself: `scale` talks to it. */
  controlUrl: z.string(),
  token: z.string(),
});

export type UpState = z.infer<typeof upStateSchema>;

export const STATE_FOLDER = ".ringfleet";
const FILE = "up.json";

export function writeUpState(folder: string, state: UpState): void {
  makeFolder(folder);
  const draft = join(folder, `${FILE}.${process.pid}`);
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, join(folder, FILE));
}

export function removeUpState(folder: string): void {
  rmSync(join(folder, FILE), { force: true });
}

/** The state in this folder, or null where none (readable) lies. */
export function readUpState(folder: string): UpState | null {
  try {
    return upStateSchema.parse(JSON.parse(readFileSync(join(folder, FILE), "utf8")));
  } catch {
    return null;
  }
}

/** The state folder at or above `from` in which an `up` has left its state, or null. */
export function findStateFolder(from: string): string | null {
  let folder = resolve(from);
  for (;;) {
    const candidate = join(folder, STATE_FOLDER);
    if (existsSync(join(candidate, FILE))) return candidate;
    const parent = dirname(folder);
    if (parent === folder) return null;
    folder = parent;
  }
}
