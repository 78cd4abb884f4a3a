import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type AuditReport, installAudit, judgeAudit } from "../harness/audit.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

// The judge of all fleet tests, judged itself: each violation, done by hand, is found, and nothing else.

const CLEAN = { doubled: 0, lost: 0, foreign: 0, wrong: 0, unscheduled: 0, regressed: 0, replayed: 0 };
const OLDER = "ringfleet/worker-1/1";
const NEWER = "ringfleet/worker-1/2";

let stores: TestStores;
let client: pg.Client;
let from: number;

beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

beforeEach(async () => {
  client = new pg.Client({ connectionString: await prepareDatabase(stores, { rows: 2 }) });
  await client.connect();
  await installAudit(client);
  await client.query("UPDATE versions SET activates_at = '2020-01-01' WHERE kind = 'config'");
  await client.query("UPDATE audit_rows SET inserted_at = '2020-01-01'");
  // Version 2 hands the seat of the name to a newer process.
  for (const incarnation of [1, 2]) {
    const seats = [{ seat: 0, worker: "worker-1", incarnation, weight: 1, revision: "" }];
    const body = { format: 1, seats, exceptions: [], dead: [] };
    await client.query(
      `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
       VALUES ('ring', $1, '2020-01-01', $2, $3, 'test', 'test')`,
      [incarnation, `ring-${incarnation}`, body],
    );
  }
  from = Math.floor(Date.now() / 1000) * 1000 - 3000;
});
afterEach(async () => {
  await client.end();
});

async function seal(tick: number, ring: number): Promise<void> {
  await client.query("INSERT INTO ticks VALUES (to_timestamp($1), $2, '', 1, '')", [
    (from + tick * 1000) / 1000,
    ring,
  ]);
}

async function work(application: string, tick: number, { increment = 1, rows = 2 } = {}): Promise<void> {
  await client.query(`SET application_name = '${application}'`);
  await client.query(
    `UPDATE work_items SET value = value + $1, lasttick = to_timestamp($2), currentworker = 'worker-1'
     WHERE id IN (SELECT id FROM work_items ORDER BY id LIMIT $3)`,
    [increment, (from + tick * 1000) / 1000, rows],
  );
}

function countsOf(report: AuditReport): Record<string, number> {
  const counts = Object.keys(CLEAN).map((name) => [
    name,
    (report[name as keyof typeof CLEAN] as unknown[]).length,
  ]);
  return Object.fromEntries(counts);
}

async function judged(ticks: number): Promise<Record<string, number>> {
  // What is done by hand is done late; whether it is too late is the last test's subject.
  await client.query("UPDATE audit SET at = tick + interval '1 second'");
  return countsOf(await judgeAudit(client, { from, to: from + (ticks - 1) * 1000 }));
}

test("ticks worked by whoever sits in the sealed view, once", async () => {
  for (const tick of [0, 1]) await seal(tick, 1);
  await seal(2, 2);
  for (const tick of [0, 1]) await work(OLDER, tick);
  await work(NEWER, 2);
  expect(await judged(3)).toEqual(CLEAN);
});

test("a tick worked twice, one not worked, one with another increment, one never sealed", async () => {
  for (const tick of [0, 1, 2]) await seal(tick, 1);
  for (const tick of [0, 0]) await work(OLDER, tick);
  await work(OLDER, 1, { rows: 1 });
  await work(OLDER, 2, { increment: 2 });
  // Twice for two rows, whose lasttick didn't rise; the other increment for two.
  expect(await judged(3)).toEqual({ ...CLEAN, doubled: 2, lost: 1, wrong: 4 });
  await work(OLDER, 3);
  expect(await judged(4)).toEqual({ ...CLEAN, doubled: 2, lost: 1, wrong: 6 });
});

test("an older process under its successor's name (S7), and the successor before its view (S2)", async () => {
  await seal(0, 1);
  await seal(1, 2);
  await work(NEWER, 0);
  await work(OLDER, 1);
  expect(await judged(2)).toEqual({ ...CLEAN, foreign: 4 });
});

test("a tick sealed with an older view than the one before (S6), or with one that isn't active yet", async () => {
  await seal(0, 2);
  await seal(1, 1);
  await work(NEWER, 0);
  await work(OLDER, 1);
  expect(await judged(2)).toEqual({ ...CLEAN, regressed: 1 });
  await client.query(
    "UPDATE versions SET activates_at = now() + interval '1 day' WHERE kind = 'ring' AND version = 1",
  );
  expect(await judged(2)).toEqual({ ...CLEAN, regressed: 2 });
});

test("a tick that is worked off long after its time", async () => {
  await seal(0, 1);
  await work(OLDER, 0);
  await client.query("UPDATE audit SET at = tick + interval '3 seconds'");
  const window = { from, to: from };
  expect(countsOf(await judgeAudit(client, window))).toEqual(CLEAN);
  await client.query("UPDATE audit SET at = at + interval '1 millisecond'");
  expect(countsOf(await judgeAudit(client, window))).toEqual({ ...CLEAN, replayed: 2 });
});
