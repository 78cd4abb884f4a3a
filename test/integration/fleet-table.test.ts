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

test("rows inserted and deleted are in work, and out of it, at the next tick; a drift is levelled once", async () => {
  await withFleet(stores, { rows: 300 }, async ({ fleet, nextTick, judge }) => {
    fleet.controlPlane("control-1");
    fleet.controlPlane("control-2");
    const names = fleet.workers(4).map((worker) => worker.name);
    await fleet.untilSeated(names);
    const from = await nextTick();
    await fleet.client.query(
      "INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, 50)",
    );
    await sleep(2500);
    await fleet.client.query(
      "DELETE FROM work_items WHERE id IN (SELECT id FROM work_items ORDER BY id LIMIT 100)",
    );
    await sleep(2000);

    // 5,000 rows into slots of one worker.
    const [view] = (await fleet.ringVersions()).slice(-1);
    if (view === undefined) throw new Error("no view");
    const owners = expectedOwners(view.body);
    const ids: string[] = [];
    while (ids.length < 5000) {
      const id = crypto.randomUUID();
      if (owners[expectedSlot(id)] === "worker-2") ids.push(id);
    }
    const insertedAt = Date.now();
    await fleet.client.query("INSERT INTO work_items (id) SELECT unnest($1::uuid[])", [ids]);
    await waitFor(
      "levelled load",
      async () => {
        // One statement: in two, the load of before the rows were worked would stand beside the rows of after.
        const { rows } = await fleet.client.query<{ ratio: number; stale: number }>(
          `SELECT (SELECT (max(n) / avg(n))::float8 FROM (
               SELECT count(*) AS n FROM work_items
               WHERE lasttick >= (SELECT max(tick) FROM ticks) - interval '1 second' GROUP BY currentworker
             ) AS load) AS ratio,
             (SELECT count(*)::int FROM work_items WHERE lasttick = '-infinity') AS stale`,
        );
        return rows[0]?.stale === 0 && (rows[0]?.ratio ?? 99) <= 1.1;
      },
      10_000,
    );
    const tookMs = Date.now() - insertedAt;
    console.log(`levelled after ${tookMs} ms`);
    expect(tookMs).toBeLessThanOrEqual(5000);

    const before = (await fleet.ringVersions()).length;
    await fleet.untilTick((await nextTick()) + 30_000, 60_000);
    expect((await fleet.ringVersions()).length, "ring versions in the 30 s after").toBe(before);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
  });
});
