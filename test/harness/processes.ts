import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { findRunningProcess } from "../../cli/stores/running-process.js";

export async function waitUntilGone(pids: number[], withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const alive = await Promise.all(pids.map(findRunningProcess));
    const left = alive.filter((found) => found !== null);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still running: ${JSON.stringify(left)}`);
    await sleep(50);
  }
}

/** Pids of processes whose command line holds the text (Linux). */
export async function findProcesses(text: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(findRunningProcess));
  return found.flatMap((one) => (one?.command.includes(text) ? [one.pid] : []));
}

/** Pids of a process's children, their children, and so on (Linux). */
export async function descendantsOf(pid: number): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(
    pids.map(async (each) => {
      const stat = await readFile(`/proc/${each}/stat`, "utf8").catch(() => "");
      return { pid: each, parent: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) };
    }),
  );
  const childrenOf = (parent: number): number[] =>
    parents.filter((each) => each.parent === parent).flatMap((each) => [each.pid, ...childrenOf(each.pid)]);
  return childrenOf(pid);
}
