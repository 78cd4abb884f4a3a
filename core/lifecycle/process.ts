import type { Logger } from "pino";

export interface Running {
  /** Resolves when everything has ended in order. */
  stop(): Promise<void>;
  /** Resolves with an exit code when the process ends by itself; without it, only a signal ends the process. */
  ended?: Promise<number>;
}

/** What a process needs of Node's `process`, so that a test can play it. */
export interface ProcessHost {
  on(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): never;
  stderr: { write(text: string): unknown };
}

/**
 * Runs a process from `start` to its end: SIGTERM and SIGINT stop it in order, a second one at once; one that
 * comes before `start` is through ends it, since nothing is there yet to stop. Exit codes: 0 stopped in order,
 * 1 unexpected failure or forced, else what `ended` says or an error's `exitCode`; such an error (a bad setting,
 * an unknown schema) speaks for itself: one line on stderr. `log` is null until `start` has made one.
 */
export async function runProcess(
  start: () => Promise<Running>,
  log: () => Logger | null,
  host: ProcessHost = process,
): Promise<void> {
  const end = new ProcessEnd(log, host);
  host.on("unhandledRejection", (error) => end.fail(error));
  host.on("uncaughtException", (error) => end.fail(error));
  let running: Running | null = null;
  let stopping = false;
  const stop = async (exitCode: number) => {
    stopping = true;
    await running?.stop();
    end.exit(exitCode);
  };
  const onSignal = (signal: unknown) => {
    if (stopping) {
      end.exit(1);
      return;
    }
    log()?.info(`${String(signal)}: stopping in order; once more to stop at once`);
    stop(0).catch((error: unknown) => end.fail(error));
  };
  host.on("SIGTERM", onSignal);
  host.on("SIGINT", onSignal);
  try {
    running = await start();
    if (running.ended === undefined) return;
    const exitCode = await running.ended;
    if (!stopping) await stop(exitCode);
  } catch (error) {
    end.fail(error);
  }
}

/** The last words of a process. */
class ProcessEnd {
  readonly #log: () => Logger | null;
  readonly #host: ProcessHost;

  constructor(log: () => Logger | null, host: ProcessHost) {
    this.#log = log;
    this.#host = host;
  }

  exit(code: number): void {
    this.#host.exit(code);
  }

  fail(error: unknown): void {
    const { exitCode, message } = (error ?? {}) as { exitCode?: unknown; message?: unknown };
    if (typeof exitCode === "number") {
      this.#host.stderr.write(`${String(message)}\n`);
      this.exit(exitCode);
      return;
    }
    const log = this.#log();
    if (log?.isLevelEnabled("fatal")) log.fatal({ err: error }, "unexpected failure");
    else this.#host.stderr.write(`${stackOf(error)}\n`);
    this.exit(1);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
