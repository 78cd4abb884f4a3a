import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Database } from "../../core/postgres/database.js";
import { pruneTicks } from "../../core/ticks/tick-store.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { type Fleet, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const OPTIONS = { rows: 60, env: { API_TOKEN: TOKEN } };

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

async function threeAtWork(fleet: Fleet): Promise<ConfigApi> {
  const api = new ConfigApi(await fleet.controlPlane("control-1").url());
  const names = fleet.workers(3).map(({ name }) => name);
  await fleet.untilSeated(names);
  return api;
}

/** Each worker's own word on when it began to work by a version. */
async function expectAllSwitched(fleet: Fleet, version: number, activatesAt: string): Promise<void> {
  for (const worker of fleet.processes.filter(({ name }) => name.startsWith("worker-"))) {
    const pattern = new RegExp(`^config ${version} rules from tick ${activatesAt}`);
    await waitFor(`${worker.name} to switch`, () => worker.find(pattern), 15_000, worker);
  }
}

const change = (increment: number, wanted: object) => ({
  config: { ...DEFAULT_CONFIG, increment },
  ...wanted,
});

test("the earliest time that a refusal names is taken, and every worker switches at just that tick", async () => {
  await withFleet(stores, OPTIONS, async ({ fleet, nextTick, judge }) => {
    const api = await threeAtWork(fleet);
    const from = await nextTick();
    let to = from;
    for (let version = 2; version <= 6; version += 1) {
      // At every moment of a tick: also shortly before the time by which all can know the next one.
      const moment = (version - 1) * 180;
      await waitFor("that moment of a tick", () => Math.abs((Date.now() % 1000) - moment) < 25, 3000);
      const refused = await api.put(change(version, { activatesInMs: 100 }));
      expect(refused).toMatchObject({ status: 422, body: { code: "activation_too_soon" } });
      const earliest = String(refused.body["earliest"]);
      expect(refused.body.detail).toMatch(new RegExp(`: the earliest is ${earliest}$`));
      // The way of the answer, and of what is asked then.
      await sleep(300);
      const taken = await api.put(change(version, { activatesAt: earliest }));
      expect(taken, JSON.stringify(taken.body)).toMatchObject({
        status: 200,
        body: { version, activatesAt: earliest },
      });
      await expectAllSwitched(fleet, version, earliest);
      expect((await api.get(`/v1/config/${version}`)).body).toMatchObject({ firstTick: earliest });
      to = Date.parse(earliest);
    }
    await fleet.untilTick(to);
    const report = await judge(from, to);
    expectSafe(report);
    expectNothingLost(report);
  });
});

test("while a Redis is frozen a change is answered at once, and every worker switches at its tick", async () => {
  await withFleet(stores, OPTIONS, async ({ fleet, nextTick, judge }) => {
    const api = await threeAtWork(fleet);
    const from = await nextTick();
    process.kill(stores.redis.pid, "SIGSTOP");
    try {
      const startedAt = performance.now();
      const { status, body } = await api.put(change(2, { activatesInMs: 3000 }));
      // The commands of the announcement have a second each: nobody waits for them.
      expect(performance.now() - startedAt, "ms until the answer").toBeLessThan(500);
      expect(status, JSON.stringify(body)).toBe(200);
      const activatesAt = String(body["activatesAt"]);
      await expectAllSwitched(fleet, 2, activatesAt);
      expect(fleet.processes[0]?.find(/^config 2 is published, but not announced: /)).toBeDefined();
      expect((await api.get("/v1/config/2")).body).toMatchObject({ firstTick: activatesAt });
      const to = Date.parse(activatesAt) + 1000;
      await fleet.untilTick(to);
      const report = await judge(from, to);
      expectSafe(report);
      expectNothingLost(report);
    } finally {
      process.kill(stores.redis.pid, "SIGCONT");
    }
  });
});

test("the history knows the first tick of each version also when old ticks have been deleted", async () => {
  await withFleet(stores, { env: { API_TOKEN: TOKEN } }, async ({ fleet, databaseUrl }) => {
    const api = new ConfigApi(await fleet.controlPlane("control-1").url());
    await waitFor("the API", async () => (await api.get("/readyz")).status === 200, 10_000);
    for (const version of [2, 3]) {
      expect((await api.put(change(version, { activatesInMs: 600_000 * version }))).status).toBe(200);
    }
    // Three hours of ticks, as of a control plane that was away meanwhile: it comes back and tidies up.
    await fleet.client.query(
      `INSERT INTO ticks (tick, ring, ring_digest, config, config_digest)
       SELECT date_trunc('hour', now()) - minutes * interval '1 minute', 1, '', CASE WHEN minutes > 120 THEN 1 ELSE 2 END, ''
       FROM generate_series(0, 180) AS minutes`,
    );
    const firstTicks = async () => {
      const { versions } = (await api.get("/v1/config/history")).body as {
        versions: { version: number; firstTick: string | null }[];
      };
      return versions.map(({ version, firstTick }) => [version, firstTick]);
    };
    const hour = 3_600_000;
    const thisHour = Math.floor(Date.now() / hour) * hour;
    const ago = (minutes: number) => new Date(thisHour - minutes * 60_000).toISOString();
    const known = [
      [3, null],
      [2, ago(120)],
      [1, ago(180)],
    ];
    expect(await firstTicks()).toEqual(known);
    const db = new Database({
      url: databaseUrl,
      schema: "public",
      applicationName: "test",
      poolSize: 1,
      statementTimeoutMs: 5000,
    });
    try {
      // In two rounds, since a config's ticks are deleted over many.
      for (const keepMs of [3 * hour, hour]) {
        await pruneTicks(db, keepMs);
        expect(await firstTicks()).toEqual(known);
      }
    } finally {
      await db.close();
    }
    const { rows } = await fleet.client.query("SELECT DISTINCT config::int FROM ticks");
    expect(rows, "the ticks themselves of config 1 are gone").toEqual([{ config: 2 }]);
  });
});
