import { expect, test } from "vitest";
import { fleetProblems } from "../../../cli/fleet-health.js";
import type { WorkersAnswer } from "../../../control-plane/api/workers-route.js";

function worker(
  name: string,
  state: WorkersAnswer["workers"][number]["state"],
  seat: number | null,
): WorkersAnswer["workers"][number] {
  return {
    name,
    incarnation: 1,
    state,
    seat,
    rows: 5,
    slots: 8192,
    lastTick: null,
    ring: 1,
    config: 1,
    address: null,
    weight: 1,
    revision: "",
    beatAgeMs: 100,
  };
}

const well: WorkersAnswer = {
  leader: { holder: "control-1", term: 1 },
  workers: [
    worker("worker-1", "seated", 0),
    worker("worker-2", "leaving", 1),
    worker("new", "joining", null),
  ],
  config: { tickMs: 1000, paused: false, maxRowsPerSecond: 0 },
  table: { rows: 10, oldestRowAgeMs: 1800, countedAgoMs: 400 },
  redisAnswers: true,
};

test("joiners and leavers are no problem, nor an empty table, nor one that isn't counted yet", () => {
  expect(fleetProblems(well)).toEqual([]);
  expect(fleetProblems({ ...well, table: null })).toEqual([]);
  expect(fleetProblems({ ...well, table: { rows: 0, oldestRowAgeMs: null, countedAgoMs: 0 } })).toEqual([]);
});

test("each thing that keeps rows from being worked is told", () => {
  expect(fleetProblems({ ...well, leader: null, workers: [], config: null })).toEqual([
    "no control plane leads",
    "there is no config (insert one: ringfleet config default)",
    "no worker is seated",
  ]);
  const workers = [worker("a", "silent", 0), worker("b", "unfit", 1), worker("c", "foreign", null)];
  expect(fleetProblems({ ...well, workers })).toEqual([
    "a is silent",
    "b is unfit",
    "c belongs to another fleet that shares this Redis",
  ]);
});

test("rows that stand still are told by the length of a tick, unless the fleet is paused", () => {
  const table = { rows: 10, oldestRowAgeMs: 6000, countedAgoMs: 0 };
  const config = { tickMs: 1000, paused: false, maxRowsPerSecond: 0 };
  expect(fleetProblems({ ...well, table })).toEqual(["a row was last worked 6.0 s ago"]);
  expect(fleetProblems({ ...well, table, config: { ...config, tickMs: 5000 } })).toEqual([]);
  expect(fleetProblems({ ...well, table, config: { ...config, paused: true } })).toEqual([]);
});

test("under a bound on rows each row has its turn: only one that has missed it stands still", () => {
  // Two workers, 50 rows a second each: a turn of all 1,000 takes 10 s.
  const config = { tickMs: 1000, paused: false, maxRowsPerSecond: 50 };
  const told = (oldestRowAgeMs: number) =>
    fleetProblems({ ...well, config, table: { rows: 1000, oldestRowAgeMs, countedAgoMs: 0 } });
  expect(told(12_000)).toEqual([]);
  expect(told(40_000)).toEqual(["a row was last worked 40.0 s ago"]);
});

test("without Redis it is Redis that is told, not that all workers are silent", () => {
  const workers = [worker("a", "silent", 0), worker("b", "silent", 1)];
  expect(fleetProblems({ ...well, workers, redisAnswers: false })).toEqual([
    "Redis doesn't answer the control plane: joins, leaves and deaths wait",
  ]);
});
