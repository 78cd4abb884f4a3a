import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectedOwners, expectedSlot } from "../harness/expected-owners.js";
import { type Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

/** `npm run faults` runs everything here; in `npm test` the simulation and `fleet-scale` stand for it. */
const ALL = process.env["FAULTS"] === "all";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

type View = Parameters<typeof expectedOwners>[0];

/** Rows that a change from one view to the next moved, and that it had to move at least: recomputed from outside. */
function movesOf(before: View, after: View, ids: readonly string[]): { moved: number; ideal: number } {
  const was = expectedOwners(before);
  const is = expectedOwners(after);
  const moved = ids.filter((id) => was[expectedSlot(id)] !== is[expectedSlot(id)]).length;
  const stays = new Set(after.seats.map(({ worker }) => worker));
  const orphaned = ids.filter((id) => !stays.has(was[expectedSlot(id)] ?? "")).length;
  const newcomers = after.seats.filter(({ worker }) => !before.seats.some((seat) => seat.worker === worker));
  const forNewcomers = (ids.length * newcomers.length) / Math.max(1, after.seats.length);
  return { moved, ideal: Math.max(orphaned, forNewcomers) };
}

async function idsOf(fleet: Fleet): Promise<string[]> {
  const { rows } = await fleet.client.query<{ id: string }>("SELECT id::text AS id FROM work_items");
  return rows.map((row) => row.id);
}

test.runIf(ALL)(
  "a worker that dies and comes back every 3 s for a minute: at most one ring change per 5 s, few moves",
  async () => {
    await withFleet(stores, { rows: 2000 }, async ({ fleet, nextTick, judge }) => {
      fleet.controlPlane("control-1");
      fleet.workers(3);
      let flapping = fleet.worker("flapping");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "flapping"]);
      const first = (await fleet.ringVersions()).length;
      const from = await nextTick();
      for (const startedAt = Date.now(); Date.now() - startedAt < 60_000; ) {
        await sleep(3000);
        flapping.signal("SIGKILL");
        await flapping.exited;
        flapping = fleet.worker("flapping");
      }
      const views = await fleet.ringVersions();
      const ids = await idsOf(fleet);
      let moved = 0;
      let ideal = 0;
      for (const [index, view] of views.entries()) {
        const before = views[index - 1];
        if (index < first || before === undefined) continue;
        const moves = movesOf(before.body, view.body, ids);
        moved += moves.moved;
        ideal += moves.ideal;
      }
      const changes = views.length - first;
      measured(
        "worker killed and started again every 3 s for a minute",
        `${changes} ring changes, ${(moved / Math.max(1, ideal)).toFixed(2)} × the ideal moves`,
      );
      expect(changes, "ring changes in a minute").toBeLessThanOrEqual(12);
      expect(moved).toBeLessThanOrEqual(1.3 * ideal);
      expectSafe(await judge(from));
    });
  },
);

test.runIf(ALL)(
  "3 → 50 workers at once: converged within JOIN_SETTLE_MS + 5 s, in at most 4 views",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "ringfleet-gate-"));
    try {
      await withFleet(stores, { rows: 5000 }, async ({ fleet, nextTick, judge }) => {
        const control = fleet.controlPlane("control-1");
        fleet.workers(3);
        await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
        const first = (await fleet.ringVersions()).length;
        const from = await nextTick();
        // As on 47 machines: each is loaded and only waits for the word. (This machine starts 5 a second.)
        const gate = join(folder, "open");
        const env = {
          NODE_OPTIONS: `--import ${fileURLToPath(new URL("../harness/start-gate.mjs", import.meta.url))}`,
          START_GATE: gate,
        };
        const newcomers = fleet.workers(47, "new-", env);
        const atGate = (worker: FleetProcess) => worker.raw.some((line) => line === "at the gate");
        await waitFor("47 workers at the gate", () => newcomers.every(atGate), 120_000);
        await writeFile(gate, "");
        const openedAt = Date.now();
        const names = ["worker-1", "worker-2", "worker-3", ...newcomers.map((worker) => worker.name)];
        await waitFor(
          "all 50 to beat",
          async () => {
            const answer = await fetch(`${await control.url()}/v1/workers`);
            const { workers } = (await answer.json()) as { workers: { name: string; beatAgeMs: number }[] };
            return workers.length === 50;
          },
          60_000,
        );
        const beatingAt = Date.now();
        await fleet.untilSeated(names, 60_000);
        const tookMs = Date.now() - beatingAt;
        const views = (await fleet.ringVersions()).length - first;
        measured(
          "3 → 50 workers at once",
          `a sealed view with all 50 ${tookMs} ms after the last one's first heartbeat ` +
            `(${beatingAt - openedAt} ms after the start of all), ${views} views`,
        );
        expect(tookMs).toBeLessThanOrEqual(6000);
        expect(views).toBeLessThanOrEqual(4);
        await fleet.untilTick((await nextTick()) + 2000);
        const report = await judge(from);
        expectSafe(report);
        expectNothingLost(report);
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
