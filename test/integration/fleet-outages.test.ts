import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { judgeAudit } from "../harness/audit.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores({ durable: true });
});
afterAll(async () => {
  await stores.close();
});

test("Redis restarted empty: no tick lost, no ring change", async () => {
  await withFleet(stores, { rows: 200 }, async ({ fleet, nextTick, judge }) => {
    fleet.controlPlane("control-1");
    fleet.controlPlane("control-2");
    await fleet.untilSeated(fleet.workers(3).map((worker) => worker.name));
    const before = await fleet.ringVersions();
    const from = await nextTick();
    await stores.restartRedisEmpty();
    await fleet.untilTick(from + 8000);
    expect((await fleet.ringVersions()).length).toBe(before.length);
    expect(fleet.running().length).toBe(5);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    measured("Redis killed and restarted empty", "0 ticks lost, 0 ring changes");
    // Membership works again: a newcomer is seated.
    fleet.worker("worker-4");
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-4"]);
  });
});

test("Redis frozen, though it still takes connections: told once, and by its name where workers are asked for", async () => {
  await withFleet(stores, { rows: 50 }, async ({ fleet }) => {
    const control = fleet.controlPlane("control-1");
    const workers = fleet.workers(2);
    await fleet.untilSeated(workers.map((worker) => worker.name));
    const url = await control.url();
    const redisAnswers = async () => {
      const answer = await fetch(new URL("/v1/workers", url));
      return ((await answer.json()) as { redisAnswers: boolean }).redisAnswers;
    };
    expect(await redisAnswers()).toBe(true);
    process.kill(stores.redis.pid, "SIGSTOP");
    try {
      // Several of the 2 s after which a silent connection is given up, and made anew.
      await sleep(9000);
      expect(await redisAnswers()).toBe(false);
    } finally {
      process.kill(stores.redis.pid, "SIGCONT");
    }
    await waitFor("Redis to be seen again", redisAnswers, 5000);
    for (const worker of workers) {
      await waitFor(`${worker.name} to tell`, () => worker.find(/^Redis is back/), 5000, worker);
      const told = worker.lines.map((line) => line.msg).filter((msg) => /^Redis (fails|is back)/.test(msg));
      expect(told).toEqual([
        expect.stringMatching(/^Redis fails: .*; work goes on, joins, leaves and deaths wait/),
        "Redis is back",
      ]);
    }
  });
});

test("Postgres killed and restarted: work resumes within 2 s, nothing is replayed, nobody exits", async () => {
  await withFleet(stores, { rows: 200, loggedAudit: true }, async ({ fleet, databaseUrl, nextTick }) => {
    fleet.controlPlane("control-1");
    fleet.controlPlane("control-2");
    const workers = fleet.workers(3);
    await fleet.untilSeated(workers.map((worker) => worker.name));
    const from = await nextTick();
    await fleet.untilTick(from);
    const versions = (await fleet.ringVersions()).length;
    await stores.killPostgres();
    await sleep(4000);
    await stores.restartPostgres();
    const acceptedAt = Date.now();
    const judge = new (await import("pg")).default.Client({ connectionString: databaseUrl });
    await judge.connect();
    try {
      const fresh = "SELECT min(lasttick) > to_timestamp($1) AS fresh FROM work_items";
      await waitFor(
        "all rows worked again",
        async () => (await judge.query(fresh, [(acceptedAt - 1000) / 1000])).rows[0]?.fresh === true,
        10_000,
      );
      const tookMs = Date.now() - acceptedAt;
      measured(
        "Postgres killed (kill -9) and restarted",
        `work resumed ${tookMs} ms after it accepted connections`,
      );
      expect(tookMs).toBeLessThanOrEqual(2000);
      await sleep(3000);
      const { rows } = await judge.query<{ id: string; second: number; n: number }>(
        `SELECT id, extract(epoch FROM date_trunc('second', at))::int AS second, count(*)::int AS n FROM audit
         GROUP BY 1, 2 HAVING count(*) > 2`,
      );
      expect(rows, "no burst: no row is worked more than its ticks").toEqual([]);
      const { rows: ticks } = await judge.query<{ newest: number }>(
        "SELECT (extract(epoch FROM max(tick)) * 1000)::float8 AS newest FROM ticks",
      );
      expectSafe(await judgeAudit(judge, { from, to: (ticks[0]?.newest ?? 0) - 2000 }));
      expect(fleet.running().length, "processes that still run").toBe(5);
      const { rows: after } = await judge.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM versions WHERE kind = 'ring'",
      );
      expect(after[0]?.n, "ring versions").toBe(versions);
    } finally {
      await judge.end();
    }
  });
});

test("two processes with one name: the newer one works, the older one stops itself, nothing is doubled", async () => {
  await withFleet(stores, { rows: 100 }, async ({ fleet, nextTick, judge }) => {
    fleet.controlPlane("control-1");
    const [older] = [fleet.worker("worker-1"), fleet.worker("worker-2")];
    await fleet.untilSeated(["worker-1", "worker-2"]);
    const from = await nextTick();
    const newer = fleet.worker("worker-1");
    expect(await older.exited).toEqual({ code: 4, signal: null });
    expect(older.find(/has the name worker-1 now: this older one stops/)).toBeDefined();
    await waitFor("the newer one's seat", () => newer.find(/took a seat/), 10_000, newer);
    await fleet.untilTick((await nextTick()) + 2000);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect((await fleet.seated()).length).toBe(2);
    measured(
      "two processes with one name",
      "the newer one works from its view on, the older one stops itself; 0 ticks lost",
    );
  });
});
