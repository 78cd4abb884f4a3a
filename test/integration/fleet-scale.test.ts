import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectedOwners, expectedSlot } from "../harness/expected-owners.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

/** Rows by worker under a view's body. */
function load(body: never, ids: readonly string[]): Map<string, number> {
  const owners = expectedOwners(body);
  const rows = new Map<string, number>();
  for (const id of ids) {
    const owner = owners[expectedSlot(id)] ?? "nobody";
    rows.set(owner, (rows.get(owner) ?? 0) + 1);
  }
  return rows;
}

interface ViewBody {
  seats: { seat: number; worker: string }[];
}

/** Rows that changed worker, and the fewest that had to: those of seats gone, and the quotas of new seats. */
function moves(before: never, after: never, ids: readonly string[]): { moved: number; bound: number } {
  const [from, to] = [expectedOwners(before), expectedOwners(after)];
  const moved = ids.filter((id) => from[expectedSlot(id)] !== to[expectedSlot(id)]).length;
  const oldSeats = (before as ViewBody).seats;
  const newSeats = (after as ViewBody).seats;
  const rowsBefore = load(before, ids);
  const gone = oldSeats.filter(({ seat }) => !newSeats.some((other) => other.seat === seat));
  const added = newSeats.filter(({ seat }) => !oldSeats.some((other) => other.seat === seat));
  const goneRows = gone.reduce((sum, { worker }) => sum + (rowsBefore.get(worker) ?? 0), 0);
  const addedRows = (added.length * ids.length) / newSeats.length;
  return { moved, bound: 1.05 * (goneRows + addedRows) + newSeats.length };
}

test("3 → 10 → 4 workers: no tick lost or doubled, every write by the owner, moves and balance as planned", async () => {
  await withFleet(stores, { rows: 1000 }, async ({ fleet, nextTick, judge }) => {
    fleet.controlPlane("control-1");
    fleet.controlPlane("control-2");
    const first = fleet.workers(3);
    await fleet.untilSeated(first.map((worker) => worker.name));
    const from = await nextTick();
    await sleep(2000);
    const more = fleet.workers(7, "more-");
    const all = [...first, ...more].map((worker) => worker.name);
    await fleet.untilSeated(all, 30_000);
    await sleep(3000);
    const leavers = [...first, ...more.slice(0, 3)];
    for (const worker of leavers) worker.signal("SIGTERM");
    const stay = more.slice(3).map((worker) => worker.name);
    await fleet.untilSeated(stay, 15_000);
    const exits = await Promise.all(leavers.map((worker) => worker.exited));
    expect(exits).toEqual(leavers.map(() => ({ code: 0, signal: null })));
    await fleet.untilTick((await nextTick()) + 1000);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect(report.writes).toBeGreaterThan(10 * 1000);

    const ids = (await fleet.client.query<{ id: string }>("SELECT id::text AS id FROM work_items")).rows.map(
      (row) => row.id,
    );
    const versions = await fleet.ringVersions();
    versions.forEach((view, index) => {
      const rows = load(view.body, ids);
      const quota = ids.length / (view.body as ViewBody).seats.length;
      for (const { worker } of (view.body as ViewBody).seats) {
        const off = Math.abs((rows.get(worker) ?? 0) - quota);
        expect(off, `${worker} under ring ${view.version}`).toBeLessThanOrEqual(Math.max(0.01 * quota, 1));
      }
      const before = versions[index - 1];
      if (before === undefined) return;
      const { moved, bound } = moves(before.body, view.body, ids);
      console.log(`ring ${view.version} (${view.reason}): ${moved} rows moved, at most ${Math.floor(bound)}`);
      expect(moved, `moves of ring ${view.version}`).toBeLessThanOrEqual(bound);
    });
  });
});

test("a rolling deploy of 10 workers moves each row once, and loses no tick", async () => {
  await withFleet(stores, { rows: 1000 }, async ({ fleet, nextTick, judge }) => {
    fleet.controlPlane("control-1");
    fleet.controlPlane("control-2");
    const old = fleet.workers(10, "old-", { WORKER_REVISION: "a" });
    await fleet.untilSeated(
      old.map((worker) => worker.name),
      30_000,
    );
    const from = await nextTick();
    const firstView = (await fleet.ringVersions()).length;
    for (const [index, predecessor] of old.entries()) {
      const newcomer = fleet.worker(`new-${index + 1}`, { WORKER_REVISION: "b" });
      const url = await newcomer.url();
      await waitFor("readiness", async () => (await fetch(`${url}/readyz`)).ok, 10_000, newcomer);
      // Up to 5 s pass between a newcomer's readiness and its predecessor's SIGTERM.
      await sleep([0, 2500, 500, 100, 1200][index % 5] ?? 0);
      predecessor.signal("SIGTERM");
      if (index % 2 === 0) await predecessor.exited;
    }
    const exits = await Promise.all(old.map((worker) => worker.exited));
    expect(exits.every(({ code }) => code === 0)).toBe(true);
    await fleet.untilSeated(
      old.map((_, index) => `new-${index + 1}`),
      15_000,
    );
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);

    const ids = (await fleet.client.query<{ id: string }>("SELECT id::text AS id FROM work_items")).rows.map(
      (row) => row.id,
    );
    const versions = (await fleet.ringVersions()).slice(firstView - 1);
    let moved = 0;
    versions.forEach((view, index) => {
      const before = versions[index - 1];
      if (before !== undefined) moved += moves(before.body, view.body, ids).moved;
    });
    console.log(`rolling deploy: ${moved} moves of ${ids.length} rows in ${versions.length - 1} views`);
    expect(moved).toBeLessThanOrEqual(1.05 * ids.length);
  });
});
