import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { WorkersAnswer } from "../../control-plane/api/workers-route.js";
import { askControlPlane, request } from "../api-client.js";
import { CliError, EXIT } from "../cli-error.js";
import type { UpState } from "../fleet/state-file.js";
import { findRunningUp, type LocationOptions } from "../fleet-location.js";
import type { Output } from "../output.js";
import { examples, jsonCommand, runCommand, wholeNumber } from "./common.js";

interface ScaleOptions extends LocationOptions {
  json?: boolean;
  timeout: number;
}

/** `ringfleet scale N`: more or fewer workers in the running `up`. */
export function scaleCommand(): Command {
  return jsonCommand("scale", "set the number of workers of the running `up`; nobody is restarted")
    .argument("<workers>", "how many", wholeNumber(0, 100_000))
    .option("--dir <folder>", "state folder of the running `up` (default: .ringfleet here or above)")
    .option("--timeout <seconds>", "how long to wait for all of them to be seated", wholeNumber(1, 3600), 60)
    .addHelpText(
      "after",
      examples(
        ["ringfleet plan --workers 5", "first see what would move"],
        ["ringfleet scale 5", "then do it; resolves when 5 workers are seated"],
      ),
    )
    .action((workers: number, options: ScaleOptions) =>
      runCommand(options, (output) => scale(workers, options, output)),
    );
}

async function scale(workers: number, options: ScaleOptions, output: Output): Promise<number> {
  const up = await findRunningUp(options);
  if (up === null) {
    throw new CliError(
      "fleet_not_found",
      "no `ringfleet up` runs here to scale; a fleet on Kubernetes scales by `helm upgrade --set worker.replicaCount=N`",
      EXIT.unreachable,
    );
  }
  const answer = await request<{ workers: string[] }>(new URL("/scale", up.controlUrl).href, {
    body: { workers },
    token: up.token,
    timeoutMs: options.timeout * 1000,
  });
  const seated = await untilSeated(up, answer.workers, options.timeout * 1000, output);
  output.print({ workers: seated }, `${seated.length} workers are seated: ${seated.join(" ")}`);
  return EXIT.ok;
}

/** Waits until exactly these workers have a seat. */
async function untilSeated(
  up: UpState,
  names: readonly string[],
  timeoutMs: number,
  output: Output,
): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  const wanted = [...names].sort().join();
  let told = -1;
  for (;;) {
    const { workers } = await askControlPlane<WorkersAnswer>(up.controlPlaneUrls, "/v1/workers");
    const seated = workers.filter((worker) => worker.seat !== null).map((worker) => worker.name);
    if ([...seated].sort().join() === wanted) return seated;
    if (performance.now() > deadline) {
      throw new CliError(
        "scale_timeout",
        `${seated.length} of ${names.length} workers are seated after ${timeoutMs / 1000} s; the fleet goes on ` +
          "towards them: `ringfleet status` says what they wait for",
      );
    }
    if (seated.length !== told) output.progress(`${seated.length} of ${names.length} workers are seated …`);
    told = seated.length;
    await sleep(200);
  }
}
