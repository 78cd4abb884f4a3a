import { afterAll, beforeAll, expect, test } from "vitest";
import { readWorkEvidence } from "../../control-plane/membership/work-evidence-store.js";
import { Database } from "../../core/postgres/database.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const LATELY_MS = 1500;

let stores: TestStores;
let db: Database;
beforeAll(async () => {
  stores = await startTestStores();
  const url = await prepareDatabase(stores, { rows: 10 });
  const options = { schema: "public", applicationName: "test", poolSize: 1, statementTimeoutMs: 5000 };
  db = new Database({ url, ...options });
});
afterAll(async () => {
  await db.close();
  await stores.close();
});

async function evidence(of: { config: object; tickAgeMs: number; ringAgeMs: number; worker: string }) {
  await db.query("TRUNCATE ticks");
  await db.query("DELETE FROM versions");
  await db.query(
    `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason) VALUES
       ('config', 7, now() - interval '1 hour', '', $1, '', ''),
       ('ring', 5, now() - $2 * interval '1 ms', '', '{}', '', '')`,
    [JSON.stringify({ tickMs: 1000, increment: 1, custom: {}, ...of.config }), of.ringAgeMs],
  );
  await db.query("INSERT INTO ticks VALUES (now() - $1 * interval '1 ms', 5, '', 7, '')", [of.tickAgeMs]);
  await db.query("UPDATE work_items SET lasttick = (SELECT max(tick) FROM ticks), currentworker = $1", [
    of.worker,
  ]);
  const { rows } = await db.query<{ slots: number[] }>("SELECT array_agg(slot) AS slots FROM work_items");
  return await readWorkEvidence(db, "worker-1", { version: 5, slots: rows[0]?.slots ?? [] }, LATELY_MS);
}

const ALL = { paused: false, maxRowsPerSecond: 0 };

test("what Postgres says of a worker's rows", async () => {
  const worked = await evidence({ config: ALL, tickAgeMs: 400, ringAgeMs: 2000, worker: "worker-1" });
  expect(worked).toMatchObject({
    hasRows: true,
    asksForAll: true,
    ringIsSettled: true,
    workedNewestTick: true,
    workedLately: true,
  });
  expect(worked.newestTickAgeMs).toBeGreaterThanOrEqual(400);
  const others = { config: ALL, tickAgeMs: 400, ringAgeMs: 1000, worker: "worker-2" };
  expect(await evidence(others)).toMatchObject({
    hasRows: true,
    asksForAll: true,
    ringIsSettled: false,
    workedNewestTick: false,
    workedLately: false,
  });
  const old = { config: ALL, tickAgeMs: 1600, ringAgeMs: 1000, worker: "worker-1" };
  expect(await evidence(old)).toMatchObject({ workedNewestTick: true, workedLately: false });
  const young = { config: ALL, tickAgeMs: 100, ringAgeMs: 1000, worker: "worker-1" };
  expect(await evidence(young)).toMatchObject({
    newestTickAgeMs: Number.POSITIVE_INFINITY,
    asksForAll: false,
  });
});

test.each([{ paused: true }, { maxRowsPerSecond: 3 }])(
  "a tick under %j doesn't ask for all rows",
  async (bound) => {
    const config = { ...ALL, ...bound };
    const found = await evidence({ config, tickAgeMs: 400, ringAgeMs: 2000, worker: "worker-1" });
    expect(found.asksForAll).toBe(false);
  },
);
