import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectRoot } from "../../core/project-root.js";
import { waitFor } from "./fleet.js";
import { descendantsOf, waitUntilGone } from "./processes.js";

const CLI = join(projectRoot(), "dist", "cli", "main.js");

export interface UpLine {
  process: string;
  msg: string;
  watching?: string[];
  at: number;
}

/** A running `ringfleet up` in a folder of its own. */
export class Up {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly lines: UpLine[] = [];
  readonly errors: string[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #pids = new Set<number>();

  private constructor(folder: string, args: readonly string[], more: Record<string, string>) {
    this.folder = folder;
    const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...more };
    this.child = spawn(process.execPath, [CLI, "up", "--json", "--dir", folder, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    });
    if (this.child.stdout !== null) {
      createInterface({ input: this.child.stdout }).on("line", (line) => {
        this.lines.push({ at: Date.now(), ...(JSON.parse(line) as { process: string; msg: string }) });
      });
    }
    if (this.child.stderr !== null) {
      createInterface({ input: this.child.stderr }).on("line", (line) => this.errors.push(line));
    }
  }

  static async start(
    args: readonly string[],
    folder?: string,
    env: Record<string, string> = {},
  ): Promise<Up> {
    return new Up(folder ?? (await mkdtemp(join(tmpdir(), "ringfleet-up-"))), args, env);
  }

  state(): { databaseUrl: string; controlPlaneUrls: string[]; pid: number } {
    return JSON.parse(readFileSync(join(this.folder, "up.json"), "utf8")) as never;
  }

  /** Resolves when `count` workers have printed what they watch. */
  async untilWorking(count: number, timeoutMs = 20_000): Promise<void> {
    await waitFor(
      `${count} workers at work: ${this.errors.join()}`,
      () => {
        const working = new Set(
          this.lines.filter((line) => (line.watching?.length ?? 0) > 0).map((line) => line.process),
        );
        return working.size >= count;
      },
      timeoutMs,
    );
    await this.notePids();
  }

  /** Remembers every process that this `up` has started. */
  async notePids(): Promise<void> {
    for (const pid of await descendantsOf(this.child.pid ?? -1)) this.#pids.add(pid);
  }

  /** Resolves when none of the noted processes is left. */
  async untilGone(timeoutMs: number): Promise<void> {
    await waitUntilGone([...this.#pids], timeoutMs);
  }

  /** Ends whatever is left and deletes the folder. */
  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGINT");
      setTimeout(() => this.child.kill("SIGINT"), 6000).unref();
      await this.exited;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Runs one command of the CLI against a folder's `up`. */
export async function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}
