import type { Command } from "commander";
import type { PreviewAnswer } from "../../control-plane/api/preview.js";
import type { RingAnswer } from "../../control-plane/api/ring-route.js";
import type { WorkerSummary, WorkersAnswer } from "../../control-plane/api/workers-route.js";
import { askControlPlane, request } from "../api-client.js";
import { CliError } from "../cli-error.js";
import { controlPlaneUrls } from "../fleet-location.js";
import { table } from "../output.js";
import { type CommonOptions, examples, fleetCommand, runCommand, wholeNumber } from "./common.js";

/** `ringfleet workers` */
export function workersCommand(): Command {
  return fleetCommand("workers", "list the workers: state, seat, rows, newest tick")
    .addHelpText(
      "after",
      `
States: seated (works its slice), joining (gets a seat soon), leaving (hands over), silent (no heartbeat),
unfit (beats, but its ticks stand still), foreign (of another fleet that shares this Redis).
${examples(
  ["ringfleet workers", "a table"],
  ["ringfleet workers --json | jq -r '.workers[].name'", "their names"],
)}`,
    )
    .action((options: CommonOptions) =>
      runCommand(options, async (output) => {
        const answer = await askControlPlane<WorkersAnswer>(await controlPlaneUrls(options), "/v1/workers");
        output.print(answer, workersTable(answer.workers));
        return 0;
      }),
    );
}

export function workersTable(workers: readonly WorkerSummary[]): string {
  return table(
    ["worker", "state", "seat", "rows", "slots", "newest tick", "ring", "config", "revision", "address"],
    workers.map((worker) => [
      worker.name,
      worker.state,
      worker.seat,
      worker.rows,
      worker.slots,
      worker.lastTick?.slice(11, 19) ?? null,
      worker.ring,
      worker.config,
      worker.revision,
      worker.address,
    ]),
  );
}

/** `ringfleet ring` */
export function ringCommand(): Command {
  return fleetCommand("ring", "show the ring view in force, those to come, and the newest changes")
    .addHelpText(
      "after",
      examples(
        ["ringfleet ring", "who sits where, and why the ring changed"],
        ["ringfleet ring --json | jq .current.version", "the version in force"],
      ),
    )
    .action((options: CommonOptions) =>
      runCommand(options, async (output) => {
        const answer = await askControlPlane<RingAnswer>(await controlPlaneUrls(options), "/v1/ring");
        output.print(answer, ringText(answer));
        return 0;
      }),
    );
}

function ringText({ current, upcoming, recent }: RingAnswer): string {
  if (current === null) return "no ring view yet: no worker has joined";
  const seats = table(
    ["seat", "worker", "incarnation", "weight", "slots"],
    current.seats.map((seat) => [
      `seat-${seat.seat}`,
      seat.worker,
      seat.incarnation,
      seat.weight,
      seat.slots,
    ]),
  );
  const history = table(
    ["ring", "at", "reason", "seats", "by"],
    recent.map((ring) => [
      ring.version,
      ring.createdAt.slice(0, 19).replace("T", " "),
      ring.reason,
      ring.seats.length,
      ring.createdBy,
    ]),
  );
  const pending = upcoming.map((ring) => `ring ${ring.version} activates at ${ring.activatesAt}`);
  return [
    `ring ${current.version}, digest ${current.digest.slice(0, 12)}`,
    ...pending,
    "",
    seats,
    "",
    history,
  ].join("\n");
}

interface SliceAnswer {
  worker: string;
  ring: number;
  tick: string | null;
  slots: number;
  rows: number;
  ids: string[];
}

/** `ringfleet slice NAME` */
export function sliceCommand(): Command {
  return fleetCommand("slice", "show every work item that a worker watches")
    .argument("<worker>", "its name")
    .addHelpText(
      "after",
      examples(
        ["ringfleet slice worker-1", "asks the worker itself"],
        ["ringfleet slice worker-1 --json | jq -r '.ids[]'", "the ids alone"],
      ),
    )
    .action((name: string, options: CommonOptions) =>
      runCommand(options, async (output) => {
        const urls = await controlPlaneUrls(options);
        const { workers } = await askControlPlane<WorkersAnswer>(urls, "/v1/workers");
        const worker = workers.find((candidate) => candidate.name === name && candidate.address !== null);
        if (worker === undefined || worker.address === null) {
          const known = workers.map((candidate) => candidate.name).join(", ");
          throw new CliError("worker_not_found", `there is no worker ${name}; there are: ${known || "none"}`);
        }
        const slice = await request<SliceAnswer>(new URL("/slice", worker.address).href);
        const head = `${slice.worker}: ${slice.ids.length} work items in ${slice.slots} slots of ring ${slice.ring}`;
        output.print(slice, [head, ...slice.ids].join("\n"));
        return 0;
      }),
    );
}

interface OwnerAnswer {
  id: string;
  slot: number;
  ring: number | null;
  seat: number | null;
  worker: string | null;
  value: number;
  lasttick: string | null;
  currentworker: string | null;
}

/** `ringfleet owner ID` */
export function ownerCommand(): Command {
  return fleetCommand("owner", "show which worker owns a work item")
    .argument("<id>", "id of the row")
    .addHelpText(
      "after",
      examples(["ringfleet owner 3f0c2a4e-…", "its slot, its seat and worker, when it was last worked"]),
    )
    .action((id: string, options: CommonOptions) =>
      runCommand(options, async (output) => {
        const path = `/v1/items/${encodeURIComponent(id)}/owner`;
        const owner = await askControlPlane<OwnerAnswer>(await controlPlaneUrls(options), path);
        const who =
          owner.worker === null ? "nobody" : `${owner.worker} (seat-${owner.seat}, ring ${owner.ring})`;
        output.print(
          owner,
          `${owner.id}: slot ${owner.slot}, owned by ${who}; value ${owner.value}, ` +
            `last worked ${owner.lasttick ?? "never"} by ${owner.currentworker ?? "nobody"}`,
        );
        return 0;
      }),
    );
}

/** `ringfleet plan --workers N` */
export function planCommand(): Command {
  return fleetCommand("plan", "preview a scale: which worker gains and loses how many rows; nothing changes")
    .requiredOption("--workers <n>", "workers after the change", wholeNumber(0, 1000))
    .addHelpText(
      "after",
      examples(
        ["ringfleet plan --workers 5", "what `ringfleet scale 5` would move"],
        ["ringfleet plan --workers 5 --json | jq .moved", "how many rows"],
      ),
    )
    .action((options: CommonOptions & { workers: number }) =>
      runCommand(options, async (output) => {
        const urls = await controlPlaneUrls(options);
        const body = { workers: options.workers };
        const plan = await askControlPlane<PreviewAnswer>(urls, "/v1/ring/preview", { body });
        output.print(plan, planText(plan));
        return 0;
      }),
    );
}

function planText(plan: PreviewAnswer): string {
  const rows = table(
    ["worker", "seat", "before", "after", "gains", "loses"],
    plan.workers.map((worker) => [
      worker.worker,
      worker.seat === null ? "leaves" : `seat-${worker.seat}`,
      worker.before,
      worker.after,
      worker.gains,
      worker.loses,
    ]),
  );
  const base = plan.base === null ? "no ring view yet" : `on ring ${plan.base}`;
  return `${rows}\n\n${plan.moved} of ${plan.rows} rows would move (their shares: ${plan.ideal}), ${base}`;
}
