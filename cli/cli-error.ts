/** What exit codes mean; `--help` lists them. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unknownSchema: 3, unreachable: 5 } as const;

/** An error that a person is told in one line, and a script as JSON. */
export class CliError extends Error {
  readonly code: string;
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Code, message and exit code of anything thrown; a stack only for what nobody foresaw. */
export function describeError(error: unknown): { code: string; message: string; exitCode: number } {
  const { code, exitCode, message } = error as { code?: unknown; exitCode?: unknown; message?: unknown };
  const foreseen = typeof exitCode === "number" || typeof code === "string";
  return {
    code: typeof code === "string" ? code.toLowerCase().replaceAll("-", "_") : "failed",
    message: foreseen && typeof message === "string" && message !== "" ? message : describeUnforeseen(error),
    exitCode: typeof exitCode === "number" ? exitCode : EXIT.failed,
  };
}

function describeUnforeseen(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return describeError(error.errors[0]).message;
  return error instanceof Error ? error.message : String(error);
}
