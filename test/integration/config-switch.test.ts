import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import type { AuditReport } from "../harness/audit.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { fakeTimeEnvironment } from "../harness/faketime.js";
import { type Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";
import { TcpProxy } from "../harness/tcp-proxy.js";

const ENV = { API_TOKEN: TOKEN };

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

interface Entry {
  version: number;
  activatesAt: string;
  firstTick: string | null;
}

async function schedule(api: ConfigApi, change: object, activatesInMs?: number): Promise<Entry> {
  const config = { ...DEFAULT_CONFIG, ...change };
  const wanted = activatesInMs === undefined ? {} : { activatesInMs };
  const answer = await api.put({ config, ...wanted });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body as unknown as Entry;
}

async function entry(api: ConfigApi, version: number): Promise<Entry> {
  return (await api.get(`/v1/config/${version}`)).body as unknown as Entry;
}

/** 0 exceptions: every row and tick as sealed, nothing lost, every tick sealed with the config of its time. */
function expectExact(report: AuditReport): void {
  expectSafe(report);
  expect(report.unscheduled).toEqual([]);
  expectNothingLost(report);
}

async function metric(process: FleetProcess, name: string): Promise<number> {
  const text = await (await fetch(`${await process.url()}/metrics`)).text();
  return Number(new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1]);
}

const names = (count: number) => Array.from({ length: count }, (_, index) => `worker-${index + 1}`);

/** Resolves once every tick up to `tick` is settled, by the ticks of a second behind it. */
async function settled(fleet: Fleet, tick: number): Promise<number> {
  await waitFor("later ticks", async () => (await fleet.newestTick()) >= tick + 2000, 30_000);
  return tick;
}

test("increment 1 → 2 → 5 under a scale-up, clocks off by ±60 s: each row's difference is its tick's", async () => {
  const [ahead, behind] = [await fakeTimeEnvironment(60), await fakeTimeEnvironment(-60)];
  await withFleet(stores, { rows: 1000, env: ENV }, async ({ fleet, nextTick, judge }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1", ahead).url());
    fleet.controlPlane("control-2", behind);
    const clocks = [ahead, behind, {}, ahead, behind, {}, ahead, behind, {}, {}];
    const start = (numbers: number[]) => {
      for (const number of numbers) fleet.worker(`worker-${number}`, clocks[number - 1]);
    };
    start([1, 2, 3, 4, 5, 6]);
    await fleet.untilSeated(names(6));
    const from = await nextTick();
    const two = await schedule(api, { increment: 2 }, 3000);
    const five = await schedule(api, { increment: 5 }, 7000);
    start([7, 8, 9, 10]);
    await fleet.untilSeated(names(10));
    const to = await settled(fleet, Date.parse(five.activatesAt) + 3000);
    const report = await judge(from, to);
    expectExact(report);
    for (const { version, activatesAt } of [two, five]) {
      expect(await entry(api, version)).toMatchObject({ firstTick: activatesAt });
    }
    const { rows } = await fleet.client.query<{ config: number; increments: number[]; ticks: number }>(
      `SELECT config::int, array_agg(DISTINCT new_value - old_value) AS increments, count(DISTINCT tick)::int AS ticks
       FROM audit JOIN ticks USING (tick) GROUP BY config ORDER BY config`,
    );
    expect(rows.map(({ config, increments }) => [config, increments])).toEqual([
      [1, [1]],
      [2, [2]],
      [3, [5]],
    ]);
    console.log(
      `switches: ${report.writes} writes, ${rows.map((row) => row.ticks).join(" + ")} ticks, 0 exceptions`,
    );
  });
});

test("Redis down while a config is published and while it activates: the switch comes at its tick all the same", async () => {
  await withFleet(stores, { rows: 100, env: ENV }, async ({ fleet, nextTick, judge }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    fleet.workers(3);
    await fleet.untilSeated(names(3));
    const from = await nextTick();
    const heard = await schedule(api, { increment: 2 }, 3000);
    await stores.redis.kill("SIGKILL");
    try {
      // Nobody can be told of this one: workers meet it in the sealed tick, at the latest.
      const unheard = await schedule(api, { increment: 3 }, 5000);
      await settled(fleet, Date.parse(unheard.activatesAt) + 1000);
      for (const { version, activatesAt } of [heard, unheard]) {
        expect(await entry(api, version)).toMatchObject({ firstTick: activatesAt });
      }
      expectExact(await judge(from, Date.parse(unheard.activatesAt) + 1000));
      const control = fleet.processes[0];
      expect(control?.find(/^config 3 is published, but not announced: /)).toBeDefined();
      expect(fleet.processes.filter((process) => process.find(/^config 3 is known/))).toEqual([]);
    } finally {
      await stores.restartRedisEmpty();
    }
  });
});

test("a lost announcement costs nothing: the worker that heard nothing works the first tick as well", async () => {
  const link = await TcpProxy.start(stores.redisUrl);
  try {
    await withFleet(stores, { rows: 100, env: ENV }, async ({ fleet, nextTick, judge }) => {
      const api = new ConfigApi(await fleet.controlPlane("control-1").url());
      const [hearing] = fleet.workers(1);
      const deaf = fleet.worker("worker-2", { REDIS_URL: link.through(stores.redisUrl) });
      await fleet.untilSeated(names(2));
      const from = await nextTick();
      link.cut("toClient");
      const { activatesAt } = await schedule(api, { increment: 2 });
      await waitFor("the announcement", () => hearing?.find(/^config 2 is known/), 3000);
      await waitFor("the switch", () => deaf.find(/^config 2 rules from/), 5000, deaf);
      expect(deaf.find(/^config 2 is known/)).toBeUndefined();
      const { rows } = await fleet.client.query<{ late: number }>(
        `SELECT (extract(epoch FROM max(at) - $1::timestamptz) * 1000)::float8 AS late
         FROM audit WHERE tick = $1::timestamptz`,
        [activatesAt],
      );
      expect(rows[0]?.late, "ms from its activation until the last row was worked under it").toBeLessThan(
        1000,
      );
      link.heal();
      expectExact(await judge(from, await settled(fleet, Date.parse(activatesAt) + 1000)));
    });
  } finally {
    await link.close();
  }
});

test("cut off from Postgres while a config activates, a worker works no row after it, and is back within a tick", async () => {
  await withFleet(stores, { rows: 100, env: ENV }, async ({ fleet, databaseUrl, nextTick, judge }) => {
    const link = await TcpProxy.start(databaseUrl);
    try {
      const api = new ConfigApi(await fleet.controlPlane("control-1").url());
      fleet.workers(1);
      const cut = fleet.worker("worker-2", { DATABASE_URL: link.through(databaseUrl) });
      await fleet.untilSeated(names(2));
      const from = await nextTick();
      const { activatesAt } = await schedule(api, { increment: 2 }, 2000);
      const activation = Date.parse(activatesAt);
      await waitFor("the tick before", async () => (await fleet.newestTick()) >= activation - 1000, 5000);
      await sleep(500);
      link.cut();
      await waitFor("two ticks under it", async () => (await fleet.newestTick()) >= activation + 1000, 5000);
      await sleep(300);
      const missed = await fleet.client.query(
        "SELECT FROM audit WHERE worker = 'worker-2' AND tick >= $1::timestamptz",
        [activatesAt],
      );
      expect(missed.rowCount).toBe(0);
      link.heal();
      const healed = (await fleet.client.query<{ now: Date }>("SELECT clock_timestamp() AS now")).rows[0]
        ?.now;
      await waitFor("its switch", () => cut.find(/^config 2 rules from/), 5000, cut);
      const { rows } = await fleet.client.query<{ back: number }>(
        `SELECT (extract(epoch FROM min(at) - $1) * 1000)::float8 AS back FROM audit
         WHERE worker = 'worker-2' AND tick >= $2::timestamptz`,
        [healed, activatesAt],
      );
      console.log(`back at work ${rows[0]?.back.toFixed(0)} ms after the link`);
      expect(rows[0]?.back).toBeLessThanOrEqual(1000);
      const report = await judge(from, await settled(fleet, (await fleet.newestTick()) + 1000));
      expectSafe(report);
      expect(report.unscheduled).toEqual([]);
      expect(report.lost.filter(({ tick }) => tick > (healed?.getTime() ?? 0) + 1000)).toEqual([]);
    } finally {
      await link.close();
    }
  });
});

test("tickMs 1000 → 250 → 2000 under load and a scale-up: S1 to S4 hold on every grid", async () => {
  const options = { rows: 2000, env: ENV, finestTickMs: 250 };
  await withFleet(stores, options, async ({ fleet, nextTick, judge }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    fleet.workers(3);
    await fleet.untilSeated(names(3));
    const from = await nextTick();
    const fast = await schedule(api, { tickMs: 250 }, 2000);
    const slow = await schedule(api, { tickMs: 2000 }, 6250);
    fleet.worker("worker-4");
    await fleet.untilSeated(names(4));
    await waitFor(
      "slow ticks",
      async () => (await fleet.newestTick()) >= Date.parse(slow.activatesAt),
      15_000,
    );
    fleet.worker("worker-5");
    await fleet.untilSeated(names(5));
    const to = await settled(fleet, (await fleet.newestTick()) + 2000);
    const report = await judge(from, to);
    expectExact(report);
    const { rows } = await fleet.client.query<{ config: number; gap: number }>(
      `SELECT DISTINCT config::int, (extract(epoch FROM tick - before) * 1000)::int AS gap FROM
         (SELECT config, tick, lag(tick) OVER (PARTITION BY config ORDER BY tick) AS before FROM ticks) AS grid
       WHERE before IS NOT NULL ORDER BY config, gap`,
    );
    expect(rows).toEqual([
      { config: 1, gap: 1000 },
      { config: fast.version, gap: 250 },
      { config: slow.version, gap: 2000 },
    ]);
  });
});

test("a config that no worker can prove is worked by nobody, who says so; the next one is", async () => {
  await withFleet(stores, { rows: 50, env: ENV }, async ({ fleet, judge, nextTick }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    const workers = fleet.workers(2);
    await fleet.untilSeated(names(2));
    const from = await nextTick();
    // As somebody with a psql session might: the content isn't what the digest says.
    const { rows } = await fleet.client.query<{ at: Date }>(
      `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
       SELECT kind, 2, date_bin('1 s', clock_timestamp(), 'epoch') + interval '1 s', digest,
              body || '{"increment": 666}', 'somebody', '' FROM versions WHERE kind = 'config'
       RETURNING activates_at AS at`,
    );
    for (const worker of workers) {
      await waitFor(
        "its event",
        () => worker.lines.find((line) => line["event"] === "unproven"),
        5000,
        worker,
      );
      expect(await metric(worker, "ringfleet_unproven")).toBe(1);
      expect(await metric(worker, 'ringfleet_ticks_total{result="refused"}')).toBeGreaterThanOrEqual(1);
    }
    const { activatesAt } = await schedule(api, { increment: 3 });
    for (const worker of workers) {
      await waitFor(
        "its return",
        () => worker.lines.find((line) => line["event"] === "proven"),
        5000,
        worker,
      );
      expect(await metric(worker, "ringfleet_unproven")).toBe(0);
    }
    const report = await judge(from, await settled(fleet, Date.parse(activatesAt) + 1000));
    expectSafe(report);
    const lost = [...new Set(report.lost.map(({ tick }) => tick))];
    expect(lost.length).toBeGreaterThanOrEqual(1);
    expect(
      lost.filter((tick) => tick < (rows[0]?.at.getTime() ?? 0) || tick >= Date.parse(activatesAt)),
    ).toEqual([]);
  });
});
