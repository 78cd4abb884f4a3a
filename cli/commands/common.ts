import { Command, InvalidArgumentError } from "commander";
import type { LocationOptions } from "../fleet-location.js";
import { Output } from "../output.js";

export interface CommonOptions extends LocationOptions {
  json?: boolean;
}

/** A command that can answer as JSON, and finds its fleet. */
export function fleetCommand(name: string, summary: string): Command {
  return jsonCommand(name, summary)
    .option("--url <url>", "control plane to ask (default: CONTROL_PLANE_URL, else the `up` that runs here)")
    .option("--dir <folder>", "state folder of the running `up` (default: .ringfleet here or above)");
}

/** A command that can answer as JSON. */
export function jsonCommand(name: string, summary: string): Command {
  return new Command(name)
    .summary(summary)
    .description(summary)
    .option("--json", "print JSON alone on stdout, errors too");
}

/** The end of a command's --help: lines of [what to type, what it does]. */
export function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return ["", "Examples:", ...lines.map(([command, what]) => `  ${command.padEnd(width)}   ${what}`)].join(
    "\n",
  );
}

/** Runs a command's body: its errors become an exit code, a line, or JSON. */
export async function runCommand(
  options: { json?: boolean },
  body: (output: Output) => Promise<number | undefined>,
): Promise<void> {
  const output = new Output(options.json === true);
  try {
    process.exitCode = (await body(output)) ?? 0;
  } catch (error) {
    process.exitCode = output.fail(error);
  }
}

/** A whole number in a range, for commander. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}
