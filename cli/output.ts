import { describeError } from "./cli-error.js";

/** Writes what a command found: for a person, or as one JSON document for a script. */
export class Output {
  readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  /** `value` with --json, else `text`. */
  print(value: unknown, text: string): void {
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  }

  /** A word on long work: on stderr, so that stdout stays the answer alone. */
  progress(text: string): void {
    if (!this.json) process.stderr.write(`${text}\n`);
  }

  /** Tells of a failure and returns the exit code for it. */
  fail(error: unknown): number {
    const { code, message, exitCode } = describeError(error);
    if (this.json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
    else process.stderr.write(`ringfleet: ${message}\n`);
    return exitCode;
  }
}

/** Rows under a head, padded to columns; figures stand to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => (cell === null ? "–" : String(cell))));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const isFigure = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] !== "string"),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          isFigure[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
