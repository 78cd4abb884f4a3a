import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPostgres } from "../../cli/stores/postgres-server.js";
import { judgeAudit } from "../harness/audit.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, type FleetTest, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { smallDisk } from "../harness/small-disk.js";
import { query, untilWorked, withRedis } from "../harness/store-clients.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores({ postgres: { maxConnections: 60 } });
});
afterAll(async () => {
  await stores.close();
});

/** `npm run faults` runs everything; `npm test` what no other test stands for. */
const ALL = process.env["FAULTS"] === "all";
const SNAPSHOT_MS = 60_000;
/** So that a small disk is enough. */
const SMALL_WAL = { min_wal_size: "32MB", max_wal_size: "48MB" };

const NAMES = ["worker-1", "worker-2", "worker-3"];

async function startFleet({ fleet }: FleetTest): Promise<number> {
  fleet.controlPlane("control-1");
  fleet.controlPlane("control-2");
  fleet.workers(3);
  await fleet.untilSeated(NAMES);
  return (await fleet.ringVersions()).length;
}

/** Nothing lost, no ring change, everybody there. */
async function expectUnmoved(fleetTest: FleetTest, from: number, views: number): Promise<void> {
  const { fleet, nextTick, judge } = fleetTest;
  await fleet.untilTick(await nextTick());
  expect((await fleet.ringVersions()).length, "ring versions").toBe(views);
  expect(fleet.running().length).toBe(5);
  const report = await judge(from);
  expectSafe(report);
  expectNothingLost(report);
}

test.runIf(ALL)("Redis flushed, then stopped for 10 s: no tick lost, no ring change", async () => {
  await withFleet(stores, { rows: 120 }, async (fleetTest) => {
    const views = await startFleet(fleetTest);
    const from = await fleetTest.nextTick();
    await withRedis(stores.redisUrl, (redis) => redis.flushall());
    await sleep(3000);
    process.kill(stores.redis.pid, "SIGSTOP");
    await sleep(10_000);
    process.kill(stores.redis.pid, "SIGCONT");
    await sleep(4000);
    await expectUnmoved(fleetTest, from, views);
    measured("Redis flushed, then stopped for 10 s (SIGSTOP)", "0 ticks lost, 0 ring changes");
  });
});

test.runIf(ALL)("Redis out of memory: no tick lost, no ring change", async () => {
  await withFleet(stores, { rows: 120 }, async (fleetTest) => {
    const views = await startFleet(fleetTest);
    const from = await fleetTest.nextTick();
    await withRedis(stores.redisUrl, (redis) => redis.config("SET", "maxmemory", "1"));
    try {
      await sleep(6000);
    } finally {
      await withRedis(stores.redisUrl, (redis) => redis.config("SET", "maxmemory", "0"));
    }
    await sleep(3000);
    await expectUnmoved(fleetTest, from, views);
    measured("Redis out of memory", "0 ticks lost, 0 ring changes");
  });
});

test("Postgres's connections exhausted: who has one works on; the others go on when there are some", async () => {
  await withFleet(stores, { rows: 120 }, async (fleetTest) => {
    const { fleet, databaseUrl, nextTick, judge } = fleetTest;
    const views = await startFleet(fleetTest);
    const from = await nextTick();
    const greedy: pg.Client[] = [];
    const open = async () => {
      const client = new pg.Client({ connectionString: databaseUrl, application_name: "greedy" });
      client.on("error", () => undefined);
      await client.connect();
      greedy.push(client);
    };
    await expect(
      (async () => {
        for (;;) await open();
      })(),
    ).rejects.toThrow(/too many clients|remaining connection slots/);
    await sleep(4000);
    await Promise.all(greedy.map((client) => client.end()));
    await fleet.untilTick((await nextTick()) + 2000);
    expect(fleet.running().length).toBe(5);
    expect((await fleet.ringVersions()).length).toBe(views);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    measured("Postgres's connections exhausted for 4 s", "0 ticks lost");
  });
});

test.runIf(ALL)(
  "Postgres read-only for 5 s: nothing is written, nobody exits, work resumes within 2 s",
  async () => {
    await withFleet(stores, { rows: 120 }, async (fleetTest) => {
      const { fleet, judge, nextTick } = fleetTest;
      await startFleet(fleetTest);
      const from = await nextTick();
      const { rows } = await fleet.client.query<{ name: string }>("SELECT current_database() AS name");
      const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'ringfleet/%'`;
      await fleet.client.query(`ALTER DATABASE ${rows[0]?.name} SET default_transaction_read_only = on`);
      await fleet.client.query(terminate);
      await sleep(5000);
      await fleet.client.query(`ALTER DATABASE ${rows[0]?.name} RESET default_transaction_read_only`);
      await fleet.client.query(terminate);
      const backAt = Date.now();
      const { rows: clock } = await fleet.client.query<{ now: Date }>("SELECT now() AS now");
      await waitFor(
        "all rows worked again",
        async () => {
          const { rows: fresh } = await fleet.client.query<{ fresh: boolean }>(
            "SELECT min(lasttick) > $1::timestamptz - interval '1 second' AS fresh FROM work_items",
            [clock[0]?.now],
          );
          return fresh[0]?.fresh === true;
        },
        10_000,
      );
      const tookMs = Date.now() - backAt;
      measured("Postgres read-only for 5 s", `work resumed ${tookMs} ms after it took writes`);
      expect(tookMs).toBeLessThanOrEqual(2000);
      const resumed = await nextTick();
      await fleet.untilTick(resumed + 1000);
      expect(fleet.running().length).toBe(5);
      const report = await judge(from);
      expectSafe(report);
      expect(report.lost.filter(({ tick }) => tick >= resumed)).toEqual([]);
    });
  },
);

test.runIf(ALL)(
  "a REPEATABLE READ snapshot held open: ticks go on, it is alarmed, the table grows",
  async () => {
    await withFleet(stores, { rows: 2000 }, async (fleetTest) => {
      const { fleet, databaseUrl, nextTick, judge } = fleetTest;
      await startFleet(fleetTest);
      const heapBytes = async () => {
        const { rows } = await fleet.client.query<{ bytes: number }>(
          "SELECT pg_table_size('work_items')::float8 AS bytes",
        );
        return rows[0]?.bytes ?? 0;
      };
      // Let the heap reach its steady size first.
      await fleet.untilTick((await nextTick()) + 5000);
      const before = await heapBytes();
      const from = await nextTick();
      const dump = new pg.Client({ connectionString: databaseUrl, application_name: "pg_dump" });
      await dump.connect();
      try {
        await dump.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        await dump.query("SELECT count(*) FROM work_items");
        await fleet.untilTick(from + SNAPSHOT_MS, SNAPSHOT_MS + 15_000);
        const [control] = fleet.processes;
        const metrics = await (await fetch(`${await control?.url()}/metrics`)).text();
        const age = Number(/^ringfleet_oldest_snapshot_age_seconds (\S+)$/m.exec(metrics)?.[1]);
        expect(age, "the metric").toBeGreaterThanOrEqual(SNAPSHOT_MS / 1000 - 6);
        expect(control?.find(/\(pg_dump\) has held a snapshot for 3\d s/), "a warning").toBeDefined();
      } finally {
        await dump.query("COMMIT");
        await dump.end();
      }
      const grown = await heapBytes();
      await fleet.untilTick(await nextTick());
      const report = await judge(from);
      expectSafe(report);
      expectNothingLost(report);
      const perRowTick = (grown - before) / (2000 * (SNAPSHOT_MS / 1000));
      measured(
        `REPEATABLE READ snapshot held for ${SNAPSHOT_MS / 1000} s`,
        `0 ticks lost; work_items grew by ${perRowTick.toFixed(0)} bytes a row and tick; warning and metric`,
      );
    });
  },
);

test.runIf(ALL && process.geteuid?.() === 0)(
  "Postgres's disk full for 5 s: nobody exits, work resumes within 2 s, nothing is replayed",
  async () => {
    const disk = await smallDisk(220);
    const log = () => undefined;
    const postgres = await startPostgres({
      dataDir: join(disk.folder, "postgres"),
      settings: SMALL_WAL,
      log,
    });
    try {
      const createDatabase = async (name: string) => {
        await query(postgres.url, `CREATE DATABASE ${name}`);
        return postgres.url.replace(/[^/]*$/, name);
      };
      const options = { rows: 120, loggedAudit: true };
      await withFleet({ ...stores, createDatabase }, options, async (fleetTest) => {
        const { fleet, databaseUrl, nextTick } = fleetTest;
        await startFleet(fleetTest);
        const from = await nextTick();
        await fleet.untilTick(from);
        await disk.fill();
        await waitFor(
          "the first refusal",
          () => fleet.processes.some((p) => p.find(/Postgres fails/)),
          60_000,
        );
        await sleep(5000);
        await disk.free();
        // Postgres gives up where it can't write its log; who runs it starts it again.
        await postgres.restart();
        const judge = new pg.Client({ connectionString: databaseUrl });
        await judge.connect();
        try {
          const tookMs = await untilWorked(judge, 10_000);
          measured(
            "Postgres's disk full for 5 s",
            `work resumed ${tookMs} ms after it took writes, nobody exited`,
          );
          expect(tookMs).toBeLessThanOrEqual(2000);
          await sleep(3000);
          expect(fleet.running().length).toBe(5);
          const { rows } = await judge.query<{ to: number }>(
            "SELECT (extract(epoch FROM max(tick)) * 1000 - 1000)::float8 AS to FROM ticks",
          );
          expectSafe(await judgeAudit(judge, { from, to: rows[0]?.to ?? 0 }));
        } finally {
          await judge.end();
        }
      });
    } finally {
      await postgres.stop("immediate");
      await disk.remove();
    }
  },
);
