import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Session } from "../../core/postgres/session.js";
import { planRing } from "../../core/ring/plan.js";
import { SLOT_COUNT } from "../../core/ring/slots.js";
import { RingSnapshot } from "../../core/ring/view.js";
import { type TickOutcome, type TickPlan, TickWork } from "../../worker/work/tick-work.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const MEMBER = { worker: "worker-1", incarnation: 1, weight: 1, revision: "" };
const VIEW = planRing(null, [MEMBER], new Uint32Array(SLOT_COUNT), []);
const SLICE = { ring: new RingSnapshot(VIEW, 1), slots: [...Array(SLOT_COUNT).keys()] };
const ROWS = 100_000;

let stores: TestStores;
let session: Session;
let work: TickWork;

beforeAll(async () => {
  stores = await startTestStores();
});

afterAll(async () => {
  await stores.close();
});

beforeEach(async () => {
  const url = await prepareDatabase(stores);
  const common = { url, schema: "public", applicationName: "test", poolSize: 1 };
  session = new Session({ ...common, statementTimeoutMs: 30_000 });
  work = workOn(session);
});

afterEach(async () => {
  await session.close();
});

function workOn(db: Session): TickWork {
  return new TickWork(db, { now: () => performance.now(), sleep }, () => undefined);
}

async function insertRows(count: number, lasttick = "-infinity"): Promise<void> {
  await session.query("INSERT INTO work_items (lasttick) SELECT $2 FROM generate_series(1, $1::int)", [
    count,
    lasttick,
  ]);
}

/** Seals a tick and works it. A statement may take `statementMs`. */
async function runTick(statementMs: number, plan: Partial<TickPlan> = {}): Promise<TickOutcome> {
  const { rows } = await session.query<{ tick: Date }>(
    `INSERT INTO ticks VALUES (date_trunc('milliseconds', clock_timestamp()), 1, 'ring', 1, 'config')
     RETURNING tick`,
  );
  const tick = rows[0]?.tick.toISOString() ?? "";
  const order = { worker: "worker-1", tick, increment: 1, ringDigest: "ring", configDigest: "config" };
  await session.setStatementTimeout(statementMs);
  try {
    return await work.run({
      slice: SLICE,
      waiting: [],
      order: { ...order, allowedLagMs: 60_000 },
      previousTick: null,
      handoverMs: 0,
      budgetMs: 10_000,
      maxRows: null,
      ...plan,
    });
  } finally {
    await session.setStatementTimeout(30_000);
  }
}

/** A third of what one statement over all rows takes here and now: however fast the machine is, it takes several. */
async function tooShortForAll(): Promise<number> {
  const startedAt = performance.now();
  await session.query("UPDATE work_items SET value = value");
  return Math.ceil((performance.now() - startedAt) / 3);
}

async function workedOften(times: number): Promise<number> {
  const { rows } = await session.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM work_items WHERE value >= $1",
    [times],
  );
  return rows[0]?.count ?? 0;
}

describe("a slice that one statement can't get through in time", () => {
  test("is cut before the first tick: nothing of it is lost", async () => {
    await insertRows(ROWS);
    const outcome = await runTick(await tooShortForAll());
    expect(outcome).toMatchObject({ complete: true, rows: ROWS });
    expect(await workedOften(1)).toBe(ROWS);
  });

  test("is cut within a few ticks where rows were inserted in bulk", async () => {
    expect(await runTick(1000)).toMatchObject({ complete: true, rows: 0 });
    await insertRows(ROWS);
    const statementMs = await tooShortForAll();
    let outcome = await runTick(statementMs);
    expect(outcome.complete, "in one statement").toBe(false);
    for (let ticks = 1; !outcome.complete && ticks < 6; ticks++) outcome = await runTick(statementMs);
    expect(outcome).toMatchObject({ complete: true, rows: ROWS });
  });
});

describe("maxRows bounds a tick", () => {
  const OLD = "2026-01-01T00:00:00Z";
  const bounded = { maxRows: 100, waiting: SLICE.slots, previousTick: "2026-02-01T00:00:00Z" };

  test("also the rows that are taken over late", async () => {
    await insertRows(1000, OLD);
    expect((await runTick(5000, bounded)).rows).toBe(100);
    expect(await workedOften(1)).toBe(100);
  });

  test.each([
    ["one statement", 2000],
    ["several", 20_000],
  ])("each row has its turn, in a slice of %s, and every tick is done", async (_what, count) => {
    await insertRows(count);
    const maxRows = count / 10;
    // A part of the slice that holds a little more than the bound is visited twice: within twice the least time.
    for (let tick = 1; tick <= 20; tick += 1) {
      expect(await runTick(5000, { maxRows })).toMatchObject({ rows: maxRows, complete: true });
    }
    expect(await workedOften(1)).toBe(count);
    // How the slice is cut was known before, and is as it was.
    expect(await runTick(5000)).toMatchObject({ rows: count, complete: true });
  });

  test("also the rows around one that raises", async () => {
    await insertRows(1000, OLD);
    const overflows =
      "UPDATE work_items SET value = 2147483647 WHERE id = (SELECT id FROM work_items ORDER BY slot, id LIMIT 1)";
    await session.query(overflows);
    const outcome = await runTick(5000, { maxRows: 100 });
    expect(outcome.rows).toBeLessThanOrEqual(100);
  });
});

test("a statement may take as long as the newest setStatementTimeout says, on the same connection", async () => {
  const short = new Session({
    url: await prepareDatabase(stores),
    schema: "public",
    applicationName: "test",
    poolSize: 1,
    statementTimeoutMs: 100,
  });
  const pid = async () => (await short.query("SELECT pg_backend_pid() AS pid")).rows[0];
  try {
    const before = await pid();
    await expect(short.query("SELECT pg_sleep(0.4)")).rejects.toThrow(/statement timeout/);
    await short.setStatementTimeout(3000);
    const asked = performance.now();
    await short.query("SELECT pg_sleep(0.8)");
    expect(short.answeredAt - asked).toBeGreaterThan(790);
    expect(short.answerLimitMs).toBe(3500);
    expect(await pid()).toEqual(before);
  } finally {
    await short.close();
  }
});
