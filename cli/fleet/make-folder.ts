import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it where they are missing. Throws what the file system says. Node's own
 * `recursive` calls a read-only disk a missing folder, and never returns where a file system makes no folders (/proc).
 */
export function makeFolder(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    // Somebody else was first.
    if (!existsSync(path) || !statSync(path).isDirectory()) throw error;
  }
}
