import type { Logger } from "pino";

export interface Running {
  /** Resolves when everything has ended in order. */
  stop(): Promise<void>;
  /** Resolves with an exit code when the process ends by itself. */
  ended: Promise<number>;
}

/** An error that names its own exit code and needs no stack: a bad setting, an unknown schema. */
function exitCodeOf(error: unknown): number | null {
  const { exitCode } = (error ?? {}) as { exitCode?: unknown };
  return typeof exitCode === "number" ? exitCode : null;
}

/** One line on stderr for errors that speak for themselves, a logged stack for all others. */
function fail(error: unknown, log: Logger | null): never {
  const exitCode = exitCodeOf(error);
  if (exitCode !== null) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(exitCode);
  }
  if (log === null) console.error(error);
  else log.fatal({ err: error }, "unexpected failure");
  process.exit(1);
}

/**
 * Runs a process from `start` to its end: SIGTERM and SIGINT stop it in order, a second one at once.
 * Exit codes: 0 stopped in order, 1 unexpected failure, else what the error or `ended` says.
 */
export async function runProcess(start: () => Promise<Running>, log: () => Logger | null): Promise<void> {
  process.on("unhandledRejection", (error) => fail(error, log()));
  process.on("uncaughtException", (error) => fail(error, log()));
  let running: Running | null = null;
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping || running === null) process.exit(stopping ? 1 : 0);
    stopping = true;
    log()?.info(`${signal}: stopping in order; once more to stop at once`);
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(error, log()),
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  try {
    running = await start();
    const exitCode = await running.ended;
    if (stopping) return;
    stopping = true;
    await running.stop();
    process.exit(exitCode);
  } catch (error) {
    fail(error, log());
  }
}
