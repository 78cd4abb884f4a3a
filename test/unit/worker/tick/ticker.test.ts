import { pino } from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { QueryResult, Row } from "../../../../core/postgres/database.js";
import { ringDigest } from "../../../../core/ring/view.js";
import { DatabaseClock } from "../../../../core/time/database-clock.js";
import { DEFAULT_CONFIG } from "../../../../core/versions/config.js";
import { configDigest } from "../../../../core/versions/digest.js";
import { VersionFollower } from "../../../../core/versions/version-follower.js";
import { TickMetrics } from "../../../../worker/tick/tick-metrics.js";
import { Ticker } from "../../../../worker/tick/ticker.js";
import { TickWork } from "../../../../worker/work/tick-work.js";

const NOW = 1_800_000_000_000;

/** A ticker whose database answers every opening with this one row, and holds these documents. */
function tickerOn(row: Record<string, unknown>, documents: Record<string, unknown> = {}): Ticker {
  const session = {
    query: async <R extends Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> => {
      const answer = text.includes("INSERT INTO ticks") ? row : documents[String(values?.[0])];
      return { rows: [answer as R], rowCount: 1 };
    },
    setStatementTimeout: async () => undefined,
  };
  const now = () => 0;
  return new Ticker({
    session,
    follower: new VersionFollower(session),
    clock: new DatabaseClock(now),
    work: new TickWork(session, { now, sleep: async () => undefined }, () => undefined),
    metrics: new TickMetrics(new Registry()),
    log: pino({ level: "silent" }),
    worker: "worker-1",
    incarnation: 1,
    monotonicNow: now,
    onTick: () => undefined,
  });
}

test("without a config a worker says how to make one; with a config it waits for a ring view", async () => {
  const withoutConfig = tickerOn({ databaseNowMs: NOW, nextTickMs: null, tickMs: null });
  expect(await withoutConfig.step()).toBe(250);
  expect(withoutConfig.waitsFor).toMatch(/ringfleet config default/);
  const withoutRing = tickerOn({ databaseNowMs: NOW, nextTickMs: NOW + 1000, tickMs: null });
  await withoutRing.step();
  expect(withoutRing.waitsFor).toMatch(/a ring view/);
});

test("the next step comes at the next boundary, but within a second: an hour's tick must not look stuck", async () => {
  const view = { format: 1 as const, seats: [], exceptions: [], dead: [] };
  const sealed = {
    ring: 1,
    ringDigest: ringDigest(view),
    config: 1,
    configDigest: configDigest(DEFAULT_CONFIG),
  };
  const documents = {
    ring: { version: 1, digest: sealed.ringDigest, body: view },
    config: { version: 1, digest: sealed.configDigest, body: DEFAULT_CONFIG },
  };
  const opened = { databaseNowMs: NOW, tickMs: NOW, ...sealed };
  expect(await tickerOn({ ...opened, nextTickMs: NOW + 400 }, documents).step()).toBe(400);
  expect(await tickerOn({ ...opened, nextTickMs: NOW + 3_600_000 }, documents).step()).toBe(1000);
});
