import pg from "pg";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { SlotRowsCache } from "../../../../control-plane/planner/slot-rows-cache.js";
import type { LongQueryable, QueryResult, Row } from "../../../../core/postgres/database.js";

const COUNTED = [{ slot: 2, rows: 7, ageMs: null }];

/** A cache over a Postgres that answers a count with `answer`; a plan waits for it until `patience` resolves. */
function cacheOver(
  answer: () => Promise<Row[]>,
  patience: Promise<void>,
  monotonicNow = () => 0,
): SlotRowsCache {
  const reply = async () => {
    const rows = await answer();
    return { rows, rowCount: rows.length };
  };
  const db = { query: reply, longQuery: reply as () => Promise<QueryResult<never>> } as LongQueryable;
  const sleep = () => patience;
  return new SlotRowsCache({ db, monotonicNow, registry: new Registry(), slotCount: 4, sleep });
}

const never = new Promise<never>(() => undefined);

test("a plan takes the count", async () => {
  const cache = cacheOver(() => Promise.resolve(COUNTED), never);
  expect([...(await cache.forPlan())]).toEqual([0, 0, 7, 0]);
});

test("a plan doesn't wait for a count that takes long, nor fail with one that fails", async () => {
  const slow = cacheOver(() => never, Promise.resolve());
  expect([...(await slow.forPlan())]).toEqual([1, 1, 1, 1]);
  const failing = cacheOver(() => Promise.reject(new Error("statement timeout")), never);
  expect([...(await failing.forPlan())]).toEqual([1, 1, 1, 1]);
  await expect(failing.get()).rejects.toThrow("statement timeout");
});

test("an estimate is never taken for a count: the next plan asks again", async () => {
  let answer = () => Promise.reject<Row[]>(new Error("statement timeout"));
  const cache = cacheOver(() => answer(), never);
  await cache.forPlan();
  expect(cache.newest).toBeNull();
  answer = () => Promise.resolve(COUNTED);
  expect([...(await cache.forPlan())]).toEqual([0, 0, 7, 0]);
});

/** When each count began over a Postgres on which they take these times, one after the other. */
async function countsAt(tries: readonly { tookMs: number; fails?: Error }[]): Promise<number[]> {
  let now = 0;
  const began: number[] = [];
  const answer = () => {
    const { tookMs, fails } = tries[began.length] ?? { tookMs: 10 };
    began.push(now);
    now += tookMs;
    return fails === undefined ? Promise.resolve(COUNTED) : Promise.reject(fails);
  };
  const cache = cacheOver(answer, never, () => now);
  while (began.length < tries.length) now += await cache.step().catch(() => 500);
  return began;
}

const quick = { tookMs: 10 };
const hung = { tookMs: 20_000 };
const cut = { tookMs: 20_000, fails: new Error("Connection terminated unexpectedly") };

test.each([
  [[quick, quick, hung, quick, quick]],
  [[hung, quick, quick]],
  [[quick, quick, cut, cut, cut, quick]],
])("counts that hung in an outage, or failed with it, don't put off the next ones (%#)", async (tries) => {
  const began = await countsAt(tries);
  for (const [index, { tookMs }] of tries.slice(0, -1).entries()) {
    expect((began[index + 1] ?? Infinity) - (began[index] ?? 0) - tookMs).toBeLessThanOrEqual(5500);
  }
});

test.each([{ tookMs: 2000 }, { tookMs: 2000, fails: canceled() }])(
  "a table that takes long to count is counted a twentieth of the time (%o)",
  async (slow) => {
    const [, second = 0, third = 0] = await countsAt([slow, slow, slow]);
    expect(third - second).toBeGreaterThanOrEqual(40_000);
  },
);

function canceled(): Error {
  const error = new pg.DatabaseError("canceling statement due to statement timeout", 0, "error");
  error.code = "57014";
  return error;
}
