import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { EventStream } from "../harness/event-stream.js";
import { type Fleet, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

/** As somebody with a psql session might, or a later release. Resolves when it is active. */
async function insertConfig(fleet: Fleet, body: object): Promise<number> {
  const { rows } = await fleet.client.query<{ version: number }>(
    `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
     SELECT 'config', max(version) + 1, clock_timestamp(), 'of-nothing', $1, 'somebody', ''
     FROM versions WHERE kind = 'config' RETURNING version::int`,
    [JSON.stringify(body)],
  );
  return rows[0]?.version ?? 0;
}

test.each<[what: string, body: object]>([
  ["is no config at all", { tickMs: "soon" }],
  ["has ticks of no length", { ...DEFAULT_CONFIG, tickMs: 0 }],
  ["has a key of a later release", { ...DEFAULT_CONFIG, more: true }],
])(
  "a config in force that %s is told as it is, and the next one is published and worked",
  async (_what, body) => {
    await withFleet(stores, { rows: 20, env: { API_TOKEN: TOKEN } }, async ({ fleet, judge }) => {
      const api = new ConfigApi(await fleet.controlPlane("control-1").url());
      fleet.workers(1);
      await fleet.untilSeated(["worker-1"]);
      const version = await insertConfig(fleet, body);
      expect(await api.get("/v1/config")).toMatchObject({
        status: 200,
        body: { highest: version, current: { version, config: body } },
      });
      expect((await api.get(`/v1/config/${version}`)).body).toMatchObject({ config: body });
      expect((await api.get("/v1/config/history")).status).toBe(200);
      const stream = await EventStream.open(api.base);
      await expect.poll(() => stream.heard, { timeout: 5000 }).toContain(`config ${version}`);
      stream.close();
      const newcomer = fleet.controlPlane("control-2");
      const url = await newcomer.url();
      await waitFor(
        "a replica that starts now",
        async () => (await fetch(`${url}/readyz`)).ok,
        10_000,
        newcomer,
      );
      // Taking back what follows would repeat it.
      const config = { ...DEFAULT_CONFIG, increment: 3 };
      expect((await api.put({ config, activatesInMs: 600_000 })).status).toBe(200);
      expect(await api.send("DELETE", `/v1/config/${version + 1}`)).toMatchObject({
        status: 409,
        body: {
          code: "config_not_repeatable",
          detail: `version ${version} isn't what was published, so that it can't be repeated: set a whole config instead, with "replace" (--replace)`,
        },
      });
      const published = await api.put({ config, replace: true });
      expect(published, JSON.stringify(published.body)).toMatchObject({ status: 200 });
      // Its grid begins at the next boundary.
      const from = Math.ceil(Date.parse(String(published.body["activatesAt"])) / 1000) * 1000;
      await waitFor("ticks under it", async () => (await fleet.newestTick()) >= from + 1000, 10_000);
      await fleet.untilTick(from + 1000);
      const report = await judge(from, from + 1000);
      expect(report.ticks).toBe(2);
      expectSafe(report);
      expectNothingLost(report);
    });
  },
);
