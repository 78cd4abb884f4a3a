import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectRoot } from "../../core/project-root.js";
import { startWatchdog, type Watchdog } from "../stores/watchdog.js";

const RESTART_MS = 1000;
const MAX_RESTART_MS = 30_000;
/** A process that ran this long has recovered: its next restart is quick again. */
const RECOVERED_MS = 30_000;
/** Bad setting, unknown schema, another process took its name over: another try would end the same way. */
const HOPELESS: ReadonlySet<number> = new Set([2, 3, 4]);

export interface ProcessEnd {
  /** "was ended by SIGKILL" */
  how: string;
  code: number | null;
  /** Until it is started again, ms; null when it won't be. */
  restartMs: number | null;
}

export interface ManagedProcessOptions {
  name: string;
  /** Below the build's folder: "worker/main.js". */
  script: string;
  /** Its whole environment. */
  env: NodeJS.ProcessEnv;
  onLine: (line: string) => void;
  /** It ended by itself. */
  onExit: (end: ProcessEnd) => void;
}

/**
 * One process of the fleet: started, restarted after a crash, stopped in order.
 *
 *   stopped ──start──▶ running ──crash──▶ waiting ──▶ running
 *                         └──stop──▶ stopping ──▶ stopped
 */
export class ManagedProcess {
  readonly name: string;
  readonly #options: ManagedProcessOptions;
  #child: ChildProcess | null = null;
  #watchdog: Watchdog | null = null;
  #exited: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | null = null;
  #failures = 0;
  #stopping = false;
  #url: string | null = null;

  constructor(options: ManagedProcessOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Where it listens, once it has said so. */
  get url(): string | null {
    return this.#url;
  }

  start(): void {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [join(projectRoot(), "dist", this.#options.script)], {
      // A session of its own: Ctrl-C in the terminal reaches `up` alone, which then stops everybody in order.
      detached: true,
      env: this.#options.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => this.#options.onLine(`can't be started: ${error.message}`));
      child.once("close", (code, signal) => {
        this.#onClose(code, signal, performance.now() - startedAt);
        resolve();
      });
    });
    if (child.pid !== undefined) {
      this.#watchdog = startWatchdog(child.pid, null, { gentle: "TERM", harsh: "KILL" });
    }
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => this.#onLine(line));
    }
  }

  /** Ends it in order, after `timeoutMs` at once; a second call can only shorten that. Resolves when it is gone. */
  async stop(timeoutMs: number): Promise<void> {
    const isFirst = !this.#stopping;
    this.#stopping = true;
    this.#cancelRestart();
    if (this.#child === null) return;
    // A process takes a second SIGTERM for "at once".
    if (isFirst) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), timeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    this.#cancelRestart();
    this.#child?.kill("SIGKILL");
  }

  #cancelRestart(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
  }

  #onLine(line: string): void {
    const listening = /"msg":"listening on (http[^"]+)"/.exec(line);
    if (listening?.[1] !== undefined) this.#url = listening[1];
    this.#options.onLine(line);
  }

  #onClose(code: number | null, signal: NodeJS.Signals | null, ranMs: number): void {
    this.#child = null;
    this.#url = null;
    this.#watchdog?.release().catch(() => undefined);
    this.#watchdog = null;
    if (this.#stopping) return;
    this.#failures = ranMs > RECOVERED_MS ? 1 : this.#failures + 1;
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    if (code !== null && HOPELESS.has(code)) {
      this.#options.onExit({ how, code, restartMs: null });
      return;
    }
    const restartMs = Math.min(MAX_RESTART_MS, RESTART_MS * 2 ** (this.#failures - 1));
    this.#options.onExit({ how, code, restartMs });
    this.#restart = setTimeout(() => this.start(), restartMs);
  }
}
