import pg from "pg";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Loop } from "../../../../core/lifecycle/loop.js";
import { PostgresTasks } from "../../../../core/lifecycle/postgres-tasks.js";
import type { LongQueryable } from "../../../../core/postgres/database.js";

const OUTAGE = "Postgres fails: connect ECONNREFUSED; work resumes by itself when it is back";
const DENIED = "can't count rows: permission denied for table work_items; tried again till it works";

let said: string[];
let loops: Loop[];
/** What Postgres answers to a text: an error, or nothing in particular. */
let answers: Record<string, Error | undefined>;
let tasks: PostgresTasks;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  loops = [];
  answers = {};
  const query = async (text: string) => {
    const error = answers[text];
    if (error !== undefined) throw error;
    return { rows: [], rowCount: 0 };
  };
  const write = (line: string) => void said.push((JSON.parse(line) as { msg: string }).msg);
  tasks = new PostgresTasks({ query, longQuery: query } as LongQueryable, pino({}, { write }));
});
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()));
  vi.useRealTimers();
});

function refusal(code: string, message: string): Error {
  return Object.assign(new pg.DatabaseError(message, 0, "error"), { code });
}

const permissionDenied = (table: string) => refusal("42501", `permission denied for table ${table}`);

/** Asks `text` in every round, or in every n-th only. */
function run(what: string, text: string, every = 1): void {
  const task = tasks.task(what);
  let round = 0;
  const loop = task.loop(async () => {
    if (round++ % every === 0) await task.query(text);
    return 100;
  });
  loops.push(loop);
  loop.start();
}

it("a missing right of one task is told once, however often others are answered, and so is its end", async () => {
  answers["count"] = permissionDenied("work_items");
  run("read versions", "read");
  run("count rows", "count", 3);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(said).toEqual([DENIED]);
  answers["count"] = permissionDenied("ticks");
  await vi.advanceTimersByTimeAsync(5000);
  expect(said.slice(1)).toEqual([DENIED.replace("work_items", "ticks")]);
  answers["count"] = undefined;
  await vi.advanceTimersByTimeAsync(5000);
  expect(said.slice(2)).toEqual(["can count rows again"]);
});

it("a full disk is one matter, whichever file it names", async () => {
  run("read versions", "read");
  run("hold the lease", "lease");
  for (const file of ["base/1", "base/2", "base/1"]) {
    answers["lease"] = refusal("53100", `could not extend file "${file}"`);
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(said).toEqual([expect.stringMatching(/^can't hold the lease: could not extend file/)]);
});

it("an outage is told once for all tasks; a round in which nothing was asked doesn't end it", async () => {
  for (const text of ["read", "count"]) answers[text] = new Error("connect ECONNREFUSED");
  run("read versions", "read");
  run("count rows", "count", 3);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(said).toEqual([OUTAGE]);
  answers = { count: permissionDenied("work_items") };
  await vi.advanceTimersByTimeAsync(5000);
  expect(said.slice(1).sort()).toEqual(["Postgres is back", DENIED]);
});

it("what Postgres has no part in is told as the task's own", async () => {
  const task = tasks.task("read versions");
  run("count rows", "count");
  const loop = task.loop(async () => {
    await task.query("read");
    throw new TypeError("the document has no seats");
  });
  loops.push(loop);
  loop.start();
  await vi.advanceTimersByTimeAsync(5000);
  expect(said).toEqual(["can't read versions: the document has no seats; tried again till it works"]);
});
