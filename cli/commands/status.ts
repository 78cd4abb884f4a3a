import type { Command } from "commander";
import type { RingAnswer } from "../../control-plane/api/ring-route.js";
import type { WorkersAnswer } from "../../control-plane/api/workers-route.js";
import { askControlPlane } from "../api-client.js";
import { EXIT } from "../cli-error.js";
import { controlPlaneUrls } from "../fleet-location.js";
import { type CommonOptions, fleetCommand, runCommand } from "./common.js";
import { workersTable } from "./views.js";

/** A worker whose newest tick is older than this isn't working. */
const FRESH_MS = 5000;

/** `ringfleet status`: one screen; exit code 1 where the fleet isn't healthy. */
export function statusCommand(): Command {
  return fleetCommand(
    "status",
    "show on one screen whether the fleet works; exit code 1 where it doesn't",
  ).action((options: CommonOptions) =>
    runCommand(options, async (output) => {
      const urls = await controlPlaneUrls(options);
      const { leader, workers } = await askControlPlane<WorkersAnswer>(urls, "/v1/workers");
      const { current } = await askControlPlane<RingAnswer>(urls, "/v1/ring");
      const seated = workers.filter((worker) => worker.seat !== null);
      const newest = Math.max(
        0,
        ...seated.map((worker) => Date.parse(worker.lastTick ?? "1970-01-01T00:00:00Z")),
      );
      const problems: string[] = [];
      if (leader === null) problems.push("no control plane leads");
      if (seated.length === 0) problems.push("no worker is seated");
      else if (Date.now() - newest > FRESH_MS) problems.push("no tick was finished in the last 5 s");
      for (const worker of workers) {
        if (["silent", "unfit"].includes(worker.state)) problems.push(`${worker.name} is ${worker.state}`);
        if (worker.state === "foreign") problems.push(`${worker.name} belongs to another fleet`);
      }
      const rows = seated.reduce((sum, worker) => sum + (worker.rows ?? 0), 0);
      const healthy = problems.length === 0;
      output.print(
        { healthy, problems, leader, ring: current?.version ?? null, rows, workers },
        [
          healthy ? "the fleet works" : `not healthy: ${problems.join("; ")}`,
          `leader ${leader === null ? "none" : `${leader.holder} (term ${leader.term})`}, ring ${current?.version ?? "none"}, ` +
            `${seated.length} seats, ${rows} rows a tick`,
          "",
          workersTable(workers),
        ].join("\n"),
      );
      return healthy ? EXIT.ok : EXIT.failed;
    }),
  );
}
