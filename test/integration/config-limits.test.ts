import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { type Fleet, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const ENV = { API_TOKEN: TOKEN };

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

/** Publishes and returns when it activates, epoch ms. */
async function schedule(api: ConfigApi, change: object, activatesInMs: number): Promise<number> {
  const { status, body } = await api.put({ config: { ...DEFAULT_CONFIG, ...change }, activatesInMs });
  expect(status, JSON.stringify(body)).toBe(200);
  return Date.parse(String(body["activatesAt"]));
}

/** Writes by tick (epoch ms) from `from` up to and including `to`, also of ticks without any. */
async function writesByTick(fleet: Fleet, from: number, to: number): Promise<[tick: number, rows: number][]> {
  const { rows } = await fleet.client.query<{ tick: number; rows: number }>(
    `SELECT (extract(epoch FROM tick) * 1000)::float8 AS tick, count(audit.id)::int AS rows
     FROM ticks LEFT JOIN audit USING (tick)
     WHERE tick BETWEEN to_timestamp($1::float8 / 1000) AND to_timestamp($2::float8 / 1000)
     GROUP BY tick ORDER BY tick`,
    [from, to],
  );
  return rows.map(({ tick, rows }) => [tick, rows]);
}

test("paused from one stated tick to another, under a scale-up: ticks go on, not a row is worked, then all are", async () => {
  await withFleet(stores, { rows: 300, env: ENV }, async ({ fleet, nextTick, judge }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    const names = fleet.workers(3).map(({ name }) => name);
    await fleet.untilSeated(names);
    const from = await nextTick();
    const paused = await schedule(api, { paused: true }, 2000);
    await waitFor("the pause", async () => (await fleet.newestTick()) >= paused, 10_000);
    fleet.worker("worker-4");
    await fleet.untilSeated([...names, "worker-4"]);
    const resumed = await schedule(api, {}, 2000);
    const to = resumed + 2000;
    await fleet.untilTick(to);
    const report = await judge(from, to);
    expectSafe(report);
    expect(report.unscheduled).toEqual([]);
    expectNothingLost(report);
    const writes = await writesByTick(fleet, paused - 1000, resumed);
    expect(writes.length).toBe((resumed - paused) / 1000 + 2);
    expect(writes.map(([, rows]) => rows)).toEqual([300, ...Array(writes.length - 2).fill(0), 300]);
  });
});

test("maxRowsPerSecond: no worker works more in any tick, each row has its turn, without it all are worked again", async () => {
  await withFleet(stores, { rows: 300, env: ENV }, async ({ fleet, nextTick, judge }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    const names = fleet.workers(3).map(({ name }) => name);
    await fleet.untilSeated(names);
    const from = await nextTick();
    const bounded = await schedule(api, { maxRowsPerSecond: 30 }, 2000);
    const unbounded = await schedule(api, {}, 10_000);
    await fleet.untilTick(unbounded + 1000);
    const report = await judge(from, unbounded + 1000);
    expectSafe(report);
    expect(report.unscheduled).toEqual([]);
    expectNothingLost(report);
    const writes = await writesByTick(fleet, bounded, unbounded - 1000);
    expect(writes.map(([, rows]) => rows)).toEqual(Array((unbounded - bounded) / 1000).fill(90));
    // About a hundred rows of each worker, thirty of them a tick: all have been reached within seven, most of them twice.
    const { rows } = await fleet.client.query<{ works: number; count: number }>(
      `SELECT works, count(*)::int FROM (
         SELECT count(audit.id)::int AS works FROM work_items LEFT JOIN audit ON audit.id = work_items.id::text
           AND tick >= to_timestamp($1::float8 / 1000) AND tick < to_timestamp($2::float8 / 1000)
         GROUP BY work_items.id) AS each GROUP BY works ORDER BY works`,
      [bounded, bounded + 7000],
    );
    expect(rows.filter(({ works }) => works < 1 || works > 3)).toEqual([]);
  });
});
