import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { SlotRowsCache } from "../../../../control-plane/planner/slot-rows-cache.js";
import type { LongQueryable, QueryResult, Row } from "../../../../core/postgres/database.js";

const COUNTED = [{ slot: 2, rows: 7, ageMs: null }];

/** A cache over a Postgres that answers a count with `answer`; a plan waits for it until `patience` resolves. */
function cacheOver(answer: () => Promise<Row[]>, patience: Promise<void>): SlotRowsCache {
  const reply = async () => {
    const rows = await answer();
    return { rows, rowCount: rows.length };
  };
  const db = { query: reply, longQuery: reply as () => Promise<QueryResult<never>> } as LongQueryable;
  const sleep = () => patience;
  return new SlotRowsCache({ db, monotonicNow: () => 0, registry: new Registry(), slotCount: 4, sleep });
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
