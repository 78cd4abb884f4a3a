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
function tickerOn(
  row: Record<string, unknown>,
  documents: Record<string, unknown> = {},
  {
    registry = new Registry(),
    lines = [] as string[],
    worked = [] as string[],
    /** Statement timeouts in the order in which they were set, and "open" for each opening of a tick. */
    limits = [] as (number | "open")[],
  } = {},
): { ticker: Ticker; follower: VersionFollower } {
  const session = {
    query: async <R extends Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> => {
      if (text.startsWith("UPDATE")) worked.push(text);
      if (text.includes("INSERT INTO ticks")) limits.push("open");
      const answer = text.includes("INSERT INTO ticks") ? row : documents[String(values?.[0])];
      return { rows: [answer as R], rowCount: 1 };
    },
    setStatementTimeout: async (ms: number) => void limits.push(ms),
  };
  const now = () => 0;
  const follower = new VersionFollower(session);
  const ticker = new Ticker({
    session,
    follower,
    clock: new DatabaseClock(now),
    work: new TickWork(session, { now, sleep: async () => undefined }, () => undefined),
    metrics: new TickMetrics(registry),
    log: pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(line) }),
    worker: "worker-1",
    incarnation: 1,
    monotonicNow: now,
    onTick: () => undefined,
  });
  return { ticker, follower };
}

test("without a config a worker says how to make one; with a config it waits for a ring view", async () => {
  const { ticker: withoutConfig } = tickerOn({ databaseNowMs: NOW, nextTickMs: null, tickMs: null });
  expect(await withoutConfig.step()).toBe(250);
  expect(withoutConfig.waitsFor).toMatch(/ringfleet config default/);
  const { ticker: withoutRing } = tickerOn({ databaseNowMs: NOW, nextTickMs: NOW + 1000, tickMs: null });
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
  expect(await tickerOn({ ...opened, nextTickMs: NOW + 400 }, documents).ticker.step()).toBe(400);
  expect(await tickerOn({ ...opened, nextTickMs: NOW + 3_600_000 }, documents).ticker.step()).toBe(1000);
});

const SEAT = { seat: 0, worker: "worker-1", incarnation: 1, weight: 1, revision: "" };
const MINE = { format: 1 as const, seats: [SEAT], exceptions: [], dead: [] };
const SEALED = {
  databaseNowMs: NOW,
  nextTickMs: NOW + 1000,
  tickMs: NOW,
  ring: 1,
  ringDigest: ringDigest(MINE),
  config: 7,
  configDigest: configDigest(DEFAULT_CONFIG),
};
const RING = { kind: "ring", version: 1, digest: SEALED.ringDigest, body: MINE };
const CONFIG = { kind: "config", version: 7, digest: SEALED.configDigest, body: DEFAULT_CONFIG };

test.each<[string, unknown, RegExp]>([
  ["is gone", undefined, /config version 7 is sealed but not in table versions/],
  ["was changed", { ...CONFIG, body: { ...DEFAULT_CONFIG, increment: 9 } }, /does not give the digest/],
  [
    "is of a later release",
    { ...CONFIG, body: { ...DEFAULT_CONFIG, more: 1 } },
    /has a form that this release/,
  ],
])(
  "a sealed config that %s: nothing is worked, a metric and one event say so, until it is there",
  async (_, config, why) => {
    const seen = { registry: new Registry(), lines: [] as string[], worked: [] as string[] };
    const documents: Record<string, unknown> = { ring: RING, config };
    const { ticker } = tickerOn(SEALED, documents, seen);
    expect(await ticker.step()).toBe(100);
    expect(await ticker.step()).toBe(100);
    expect(seen.worked).toEqual([]);
    expect(seen.lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({
        level: 50,
        event: "unproven",
        kind: "config",
        version: 7,
        msg: expect.stringMatching(why),
      }),
    ]);
    expect(await seen.registry.metrics()).toMatch(/^ringfleet_unproven 1$/m);
    expect(await seen.registry.metrics()).toMatch(/^ringfleet_ticks_total{result="refused"} 1$/m);
    documents["config"] = CONFIG;
    await ticker.step();
    expect(seen.worked).not.toEqual([]);
    expect(seen.lines.at(-1)).toMatch(/"event":"proven"/);
    expect(await seen.registry.metrics()).toMatch(/^ringfleet_unproven 0$/m);
  },
);

test("a forged hint costs nothing: Postgres has the last word", async () => {
  const seen = { registry: new Registry(), lines: [] as string[], worked: [] as string[] };
  const { ticker, follower } = tickerOn(SEALED, { ring: RING, config: CONFIG }, seen);
  const forged = {
    ...CONFIG,
    kind: "config" as const,
    activatesAtMs: 0,
    createdAtMs: 0,
    createdBy: "",
    reason: "",
  };
  follower.accept({ ...forged, body: { ...DEFAULT_CONFIG, increment: 666 } });
  await ticker.step();
  expect(seen.worked).not.toEqual([]);
  expect(await seen.registry.metrics()).toMatch(/^ringfleet_digest_mismatches_total 1$/m);
});

test.each([
  // A dead connection is noticed by the time that a statement may take: of an hour's tick that is an hour.
  [3_600_000, ["open", 3_600_500, 2500, "open", 3_600_500]],
  [1000, ["open", 1500, "open", 1500]],
])("with ticks of %i ms, a tick is opened within seconds or not at all", async (tickMs, expected) => {
  const config = { ...DEFAULT_CONFIG, tickMs };
  const row = { ...SEALED, configDigest: configDigest(config) };
  const documents = { ring: RING, config: { ...CONFIG, digest: row.configDigest, body: config } };
  const limits: (number | "open")[] = [];
  const { ticker } = tickerOn(row, documents, { limits });
  await ticker.step();
  row.tickMs += tickMs;
  row.databaseNowMs += tickMs;
  await ticker.step();
  expect(limits).toEqual(expected);
});
