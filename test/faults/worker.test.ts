import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditReport, gapsByRow } from "../harness/audit.js";
import { type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectSafe, type FleetTest, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

const NAMES = ["worker-1", "worker-2", "worker-3"];

/** A fleet of 3 workers, of which the first is about to suffer. */
async function startFleet(test: FleetTest, env: Record<string, string> = {}): Promise<FleetProcess> {
  test.fleet.controlPlane("control-1");
  test.fleet.controlPlane("control-2");
  const [victim] = test.fleet.workers(3, "worker-", env);
  await test.fleet.untilSeated(NAMES);
  if (victim === undefined) throw new Error("no worker");
  return victim;
}

function largestGap(report: AuditReport): number {
  return Math.max(0, ...gapsByRow(report).values());
}

test("SIGSTOP for 10 s, then CONT: 3 ticks at most, nothing stale is written, back within 3 s", async () => {
  await withFleet(stores, { rows: 150 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    const victim = await startFleet(fleetTest);
    const from = await nextTick();
    await sleep(300);
    victim.signal("SIGSTOP");
    await fleet.untilSeated(["worker-2", "worker-3"]);
    await sleep(10_000 - 1000);
    const stopped = await nextTick();
    victim.signal("SIGCONT");
    const continuedAt = Date.now();
    await fleet.untilSeated(NAMES);
    const backMs = Date.now() - continuedAt;
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    measured(
      "worker stopped for 10 s (SIGSTOP), then continued",
      `${largestGap(report)} ticks unworked, seated again after ${backMs} ms`,
    );
    expectSafe(report);
    expect(largestGap(report)).toBeLessThanOrEqual(3);
    expect(report.lost.filter(({ tick }) => tick >= stopped)).toEqual([]);
    // One second until the view with it is sealed comes on top of the 3 s to its seat.
    expect(backMs).toBeLessThanOrEqual(4000);
  });
});

test("an event loop blocked for 5 s: /livez fails meanwhile, the same gap, no stale write", async () => {
  await withFleet(stores, { rows: 150 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    const blocker = fileURLToPath(new URL("../harness/block-event-loop.mjs", import.meta.url));
    const victim = await startFleet(fleetTest, { NODE_OPTIONS: `--import ${blocker}`, BLOCK_MS: "5000" });
    const url = await victim.url();
    const from = await nextTick();
    await sleep(300);
    victim.signal("SIGUSR2");
    await sleep(500);
    await expect(fetch(`${url}/livez`, { signal: AbortSignal.timeout(1000) })).rejects.toThrow();
    await fleet.untilSeated(["worker-2", "worker-3"]);
    await waitFor("liveness", async () => (await fetch(`${url}/livez`)).ok, 8000, victim);
    await fleet.untilSeated(NAMES);
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    measured(
      "worker's event loop blocked for 5 s",
      `${largestGap(report)} ticks unworked; /livez failed meanwhile`,
    );
    expectSafe(report);
    expect(largestGap(report)).toBeLessThanOrEqual(3);
  });
});

test("a poison row and a row locked by somebody's session cost themselves only", async () => {
  await withFleet(stores, { rows: 300 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    await startFleet(fleetTest);
    const { rows } = await fleet.client.query<{ id: string }>(
      "SELECT id::text AS id FROM work_items ORDER BY md5(id::text) LIMIT 2",
    );
    const [poison, locked] = rows.map((row) => row.id);
    if (poison === undefined || locked === undefined) throw new Error("no rows");
    const from = await nextTick();
    await fleet.client.query(
      `ALTER TABLE work_items ADD CONSTRAINT poison CHECK (id <> '${poison}' OR value < 0) NOT VALID`,
    );
    await fleet.client.query("BEGIN");
    await fleet.client.query("SELECT FROM work_items WHERE id = $1 FOR UPDATE", [locked]);
    await sleep(5000);
    await fleet.client.query("COMMIT");
    await waitFor(
      "a word about the poison row",
      () =>
        fleet.processes.some((process) => process.find(new RegExp(`row ${poison} is left out: .*poison`))),
      5000,
    );
    const freed = await nextTick();
    await fleet.client.query("ALTER TABLE work_items DROP CONSTRAINT poison");
    await fleet.untilTick((await nextTick()) + 12_000);
    const report = await judge(from);
    expectSafe(report);
    const gaps = gapsByRow(report);
    const bystanders = [...gaps].filter(([id]) => id !== poison && id !== locked);
    const bystanderGap = Math.max(0, ...bystanders.map(([, gap]) => gap));
    expect(bystanderGap, "ticks that other rows lost").toBeLessThanOrEqual(1);
    measured("poison row, and a row locked for 5 s", `other rows lost ${bystanderGap} ticks at most`);
    const lateLoss = report.lost.filter(({ id, tick }) => id === poison && tick > freed + 12_000);
    expect(lateLoss, "the poison row works again").toEqual([]);
    expect(report.lost.filter(({ id, tick }) => id === locked && tick > freed)).toEqual([]);
  });
});
