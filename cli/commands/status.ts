import type { Command } from "commander";
import type { RingAnswer } from "../../control-plane/api/ring-route.js";
import type { WorkersAnswer } from "../../control-plane/api/workers-route.js";
import { askControlPlane } from "../api-client.js";
import { EXIT } from "../cli-error.js";
import { fleetProblems, seconds } from "../fleet-health.js";
import { controlPlaneUrls } from "../fleet-location.js";
import { type CommonOptions, examples, fleetCommand, runCommand } from "./common.js";
import { workersTable } from "./views.js";

/** `ringfleet status`: one screen; exit code 1 where the fleet isn't healthy. */
export function statusCommand(): Command {
  return fleetCommand("status", "show on one screen whether the fleet works; exit code 1 where it doesn't")
    .addHelpText(
      "after",
      examples(
        ["ringfleet status", "of the `up` that runs here"],
        ["ringfleet status --url http://control-plane:8080 --json", "of another fleet, for a script"],
        ["until ringfleet status; do sleep 1; done", "wait until it is healthy"],
      ),
    )
    .action((options: CommonOptions) =>
      runCommand(options, async (output) => {
        const urls = await controlPlaneUrls(options);
        const [answer, { current }] = await Promise.all([
          askControlPlane<WorkersAnswer>(urls, "/v1/workers"),
          askControlPlane<RingAnswer>(urls, "/v1/ring"),
        ]);
        const problems = fleetProblems(answer);
        const healthy = problems.length === 0;
        const { leader, table, config, workers } = answer;
        output.print(
          { healthy, problems, leader, ring: current?.version ?? null, config, table, workers },
          [
            healthy ? "healthy" : `not healthy: ${problems.join("; ")}`,
            "",
            `leader   ${leader === null ? "none" : `${leader.holder}, term ${leader.term}`}`,
            `ring     ${current === null ? "none yet" : `${current.version}, ${current.seats.length} seats`}`,
            `rows     ${rowsText(answer)}`,
            `tick     ${config === null ? "no config yet" : `every ${config.tickMs} ms${config.paused ? ", paused" : ""}`}`,
            "",
            workersTable(workers),
          ].join("\n"),
        );
        return healthy ? EXIT.ok : EXIT.failed;
      }),
    );
}

function rowsText({ table }: WorkersAnswer): string {
  if (table === null) return "not counted yet";
  const oldest =
    table.oldestRowAgeMs === null ? "never worked" : `oldest ${seconds(table.oldestRowAgeMs)} old`;
  return `${table.rows}, ${oldest} (counted ${seconds(table.countedAgoMs)} ago)`;
}
