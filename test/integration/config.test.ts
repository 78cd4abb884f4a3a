import { afterAll, beforeAll, expect, test } from "vitest";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const TOKEN = "a-token-for-tests";
let stores: TestStores;

beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

const CONFIG = { tickMs: 1000, increment: 2, paused: false, maxRowsPerSecond: 0, custom: {} };

test("a config rules from the first tick at or after its time; what is pending stands in the way of others", async () => {
  await withFleet(stores, { rows: 60, env: { API_TOKEN: TOKEN } }, async ({ fleet, nextTick, judge }) => {
    const base = await fleet.controlPlane("control-1").url();
    fleet.workers(3);
    const send = async (method: string, path: string, body?: unknown) => {
      const response = await fetch(new URL(path, base), {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    await expect
      .poll(
        async () =>
          (await fleet.client.query("SELECT FROM work_items WHERE lasttick = '-infinity'")).rowCount,
        { timeout: 20_000 },
      )
      .toBe(0);
    const from = await nextTick();

    const activatesAt = new Date(Date.now() + 2500).toISOString();
    const entry = (await send("PUT", "/v1/config", { config: CONFIG, activatesAt })).body;
    const ahead = await send("PUT", "/v1/config", { config: CONFIG });
    expect(ahead).toMatchObject({ status: 409, body: { code: "config_pending", pending: 2 } });

    const firstTick = async () => {
      const { body } = await send("GET", "/v1/config/history");
      return (body["versions"] as { version: number; firstTick: string | null }[])[0];
    };
    await expect
      .poll(firstTick, { timeout: 10_000 })
      .toMatchObject({ version: 2, firstTick: entry["activatesAt"] });

    const inAMinute = new Date(Date.now() + 60_000).toISOString();
    await send("PUT", "/v1/config", { config: { ...CONFIG, increment: 9 }, activatesAt: inAMinute });
    expect(await send("DELETE", "/v1/config/3")).toMatchObject({
      status: 200,
      body: { version: 4, config: { increment: 2 }, reason: "cancels version 3" },
    });
    // What was cancelled stands in nobody's way.
    const next = await send("PUT", "/v1/config", { config: { ...CONFIG, increment: 3 } });
    expect(next).toMatchObject({ status: 200, body: { version: 5 } });
    const inTwo = new Date(Date.now() + 120_000).toISOString();
    await send("PUT", "/v1/config", { config: { ...CONFIG, increment: 9 }, activatesAt: inAMinute });
    await send("PUT", "/v1/config", { config: { ...CONFIG, increment: 10 }, activatesAt: inTwo });
    const cancelled = await send("DELETE", "/v1/config/7?by=nina&reason=not+today");
    expect(cancelled).toMatchObject({
      status: 200,
      body: { version: 8, config: { increment: 9 }, createdBy: "nina", reason: "not today" },
    });
    expect(await send("PUT", "/v1/config", { config: CONFIG, activatesAt: inAMinute })).toMatchObject({
      status: 409,
      body: { pending: 6 },
    });
    const between = new Date(Date.now() + 90_000).toISOString();
    const placed = await send("PUT", "/v1/config", { config: CONFIG, activatesAt: between });
    expect(placed).toMatchObject({ status: 200, body: { version: 9 } });
    const settled = (await fleet.newestTick()) + 2000;
    await expect.poll(() => fleet.newestTick(), { timeout: 10_000 }).toBeGreaterThan(settled);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
  });
}, 90_000);
