import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface RunningProcess {
  pid: number;
  /** Differs between two processes that had the same pid one after the other. */
  startMark: string;
  /** Its command line, arguments joined by spaces. */
  command: string;
}

/** What runs under this pid now, or null where nothing does; a zombie counts as nothing. */
export async function findRunningProcess(pid: number): Promise<RunningProcess | null> {
  return process.platform === "linux" ? await readProc(pid) : await askPs(pid);
}

async function readProc(pid: number): Promise<RunningProcess | null> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    const parsed = parseProcStat(stat);
    if (parsed === null || parsed.state === "Z" || parsed.state === "X") return null;
    return { pid, startMark: parsed.startTime, command: commandLine.replaceAll("\0", " ").trim() };
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** State (field 3) and start time (field 22) of /proc/<pid>/stat; the name in parentheses may hold anything. */
export function parseProcStat(stat: string): { state: string; startTime: string } | null {
  const fields = stat
    .slice(stat.lastIndexOf(")") + 1)
    .trim()
    .split(" ");
  const state = fields[0];
  const startTime = fields[19];
  return state === undefined || startTime === undefined ? null : { state, startTime };
}

async function askPs(pid: number): Promise<RunningProcess | null> {
  try {
    const { stdout } = await run("ps", ["-o", "state=,lstart=,command=", "-p", String(pid)], {
      env: { ...process.env, LC_ALL: "C" },
    });
    // lstart is five words: "Fri Nov 21 04:42:00 2025".
    const match = /^(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/.exec(stdout.trim());
    if (match === null || match[1]?.startsWith("Z")) return null;
    return { pid, startMark: match[2] ?? "", command: match[3] ?? "" };
  } catch {
    return null;
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ESRCH";
}
