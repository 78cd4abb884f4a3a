import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../core/project-root.js";
import { debianPackage } from "../harness/debian-package.js";
import type { FleetProcess } from "../harness/fleet.js";
import { withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const DOC = join(projectRoot(), "docs", "reference", "metrics.md");

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

interface Scrape {
  text: string;
  /** Name → help, for ringfleet's own metrics. */
  help: Map<string, { type: string; help: string }>;
  value(name: string, labels?: string): number;
}

async function scrape(process: FleetProcess): Promise<Scrape> {
  const text = await (await fetch(`${await process.url()}/metrics`)).text();
  const help = new Map<string, { type: string; help: string }>();
  for (const [, name = "", words = ""] of text.matchAll(/^# HELP (ringfleet_\S+) (.*)$/gm)) {
    const type = new RegExp(`^# TYPE ${name} (\\S+)$`, "m").exec(text)?.[1] ?? "";
    help.set(name, { type, help: words });
  }
  return {
    text,
    help,
    value(name, labels = "") {
      const line = text.split("\n").find((candidate) => candidate.startsWith(`${name}${labels} `));
      return Number(line?.split(" ").at(-1));
    },
  };
}

/** What promtool finds wrong with a scrape, but for names that prom-client itself gives. */
function promtoolProblems(promtool: string, { text }: Scrape): string[] {
  const { status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], {
    input: text,
    encoding: "utf8",
  });
  const said = (stdout + stderr).split("\n").filter((line) => line !== "");
  // 3 is what it ends with where it finds style to be wrong and nothing else.
  if (status !== 0 && status !== 3) return [`promtool ended with ${status}`, ...said];
  return said.filter((line) => !line.startsWith("nodejs_"));
}

function table(scraped: Scrape): string {
  const rows = [...scraped.help].sort(([a], [b]) => a.localeCompare(b));
  const lines = rows.map(([name, { type, help }]) => `| \`${name}\` | ${type} | ${help} |`);
  return ["| metric | type | what it says |", "|---|---|---|", ...lines].join("\n");
}

test("both processes expose what docs/reference/metrics.md says, and the figures are true", async () => {
  await withFleet(stores, { rows: 100 }, async ({ fleet, nextTick }) => {
    const control = fleet.controlPlane("control-1");
    const [worker] = fleet.workers(2);
    if (worker === undefined) throw new Error("no worker");
    await fleet.untilSeated(["worker-1", "worker-2"]);
    await fleet.untilTick((await nextTick()) + 2000);
    const [ofControl, ofWorker] = [await scrape(control), await scrape(worker)];

    const { rows } = await fleet.client.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM audit WHERE worker = 'worker-1'",
    );
    const after = await scrape(worker);
    expect(rows[0]?.n).toBeGreaterThanOrEqual(ofWorker.value("ringfleet_rows_worked_total"));
    expect(rows[0]?.n).toBeLessThanOrEqual(after.value("ringfleet_rows_worked_total"));
    expect(ofWorker.value("ringfleet_slice_rows")).toBe(50);
    expect(ofWorker.value("ringfleet_ticks_total", '{result="done"}')).toBeGreaterThanOrEqual(3);
    expect(ofWorker.value("ringfleet_heartbeats_total", '{result="sent"}')).toBeGreaterThan(4);
    expect(ofControl.value("ringfleet_leader")).toBe(1);
    expect(ofControl.value("ringfleet_members", '{state="seated"}')).toBe(2);
    expect(ofControl.value("ringfleet_ring_changes_total", '{reason="join"}')).toBe(1);
    expect(ofControl.value("ringfleet_oldest_row_age_seconds")).toBeLessThan(10);

    const promtool = join(await debianPackage("prometheus"), "usr", "bin", "promtool");
    expect(promtoolProblems(promtool, ofControl)).toEqual([]);
    expect(promtoolProblems(promtool, ofWorker)).toEqual([]);
    const misnamed = {
      ...ofWorker,
      text: "# HELP ringfleet_x_total x\n# TYPE ringfleet_x_total gauge\nringfleet_x_total 1\n",
    };
    expect(promtoolProblems(promtool, misnamed)).toHaveLength(1);

    const written = [
      "# Metrics",
      "",
      "Every process exposes its own at `/metrics`, beside the usual `process_` and `nodejs_` ones of prom-client. " +
        "This page is written and held true by `test/integration/metrics.test.ts` " +
        "(`UPDATE=1` writes it anew from the running processes).",
      "",
      "## Worker",
      "",
      table(ofWorker),
      "",
      "## Control plane",
      "",
      table(ofControl),
      "",
    ].join("\n");
    if (process.env["UPDATE"] === "1") writeFileSync(DOC, written);
    expect(readFileSync(DOC, "utf8")).toBe(written);
  });
});
