import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../../cli/stores/free-port.js";
import { knownMigrations, migrate, UnknownSchemaError } from "../../core/postgres/schema.js";
import { Fleet, waitFor } from "../harness/fleet.js";
import { prepareDatabase, withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

test("before Postgres, Redis and the migration: everybody waits, says what for, and goes on", async () => {
  const url = await stores.createDatabase("first_start");
  await stores.redis.stop();
  await stores.postgres.stop();
  const fleet = new Fleet({ databaseUrl: url, redisUrl: stores.redisUrl });
  try {
    const processes = [...fleet.workers(2), fleet.controlPlane("control-1")];
    for (const process of processes) {
      await waitFor(`${process.name} to wait`, () => process.find(/waiting for Postgres/), 10_000, process);
      const ready = await fetch(`${await process.url()}/readyz`);
      expect(ready.status).toBe(503);
      expect(await ready.json()).toMatchObject({
        code: "not_ready",
        detail: expect.stringMatching(/Postgres/),
      });
      expect((await fetch(`${await process.url()}/livez`)).status).toBe(200);
    }
    await stores.restartPostgres();
    for (const process of processes) {
      await waitFor(
        `${process.name} to name the schema`,
        () => process.find(/waiting for schema .*ringfleet migrate/),
        10_000,
        process,
      );
    }
    await Promise.all([migrate({ url }, "public"), migrate({ url }, "public")]);
    await stores.redis.restart();
    for (const worker of processes.slice(0, 2)) {
      await waitFor(
        `${worker.name} to name the config`,
        () => worker.find(/waiting for a config: .*ringfleet config default/),
        10_000,
        worker,
      );
    }
    await fleet.client.connect();
    const { configDigest } = await import("../../core/versions/digest.js");
    const { DEFAULT_CONFIG } = await import("../../core/versions/config.js");
    await fleet.client.query(
      `INSERT INTO versions (kind, version, activates_at, digest, body, created_by, reason)
       VALUES ('config', 1, now(), $1, $2, 'test', 'initial')`,
      [configDigest(DEFAULT_CONFIG), DEFAULT_CONFIG],
    );
    await fleet.untilSeated(["worker-1", "worker-2"]);
    for (const process of processes) {
      await waitFor(
        "readiness",
        async () => (await fetch(`${await process.url()}/readyz`)).ok,
        5000,
        process,
      );
    }
  } finally {
    await fleet.close();
  }
});

test("two migrations at once both succeed, and a second run changes nothing", async () => {
  const url = await stores.createDatabase("two_migrations");
  const [first, second] = await Promise.all([migrate({ url }, "public"), migrate({ url }, "public")]);
  expect([...first, ...second].sort((a, b) => a.localeCompare(b))).toEqual(knownMigrations());
  expect(await migrate({ url }, "public")).toEqual([]);
});

test("a newer schema is refused with both versions named, by the migration and by every process", async () => {
  const url = await prepareDatabase(stores);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("INSERT INTO schema_migrations (name, run_on) VALUES ('0999_from_the_future', now())");
  await client.end();
  await expect(migrate({ url }, "public")).rejects.toThrow(UnknownSchemaError);
  const known = knownMigrations().at(-1) ?? "";
  const fleet = new Fleet({ databaseUrl: url, redisUrl: stores.redisUrl });
  try {
    for (const process of [fleet.worker("worker-1"), fleet.controlPlane("control-1")]) {
      expect(await process.exited).toEqual({ code: 3, signal: null });
      const said = process.raw.join("\n");
      expect(said).toContain("0999_from_the_future");
      expect(said).toContain(known);
      expect(said).not.toMatch(/\n\s+at /);
    }
  } finally {
    await fleet.close();
  }
});

test("two fleets that share a Redis ignore each other's workers and say so", async () => {
  const options = { rows: 20, env: { REDIS_KEY_PREFIX: "shared:" } };
  await withFleet(stores, options, async (one) => {
    await withFleet(stores, options, async (two) => {
      for (const { fleet } of [one, two]) {
        fleet.controlPlane("control-1");
        fleet.workers(2);
      }
      // The same names in both: neither hides the other.
      await Promise.all([one, two].map(({ fleet }) => fleet.untilSeated(["worker-1", "worker-2"])));
      for (const { fleet } of [one, two]) {
        const [control] = fleet.processes;
        await waitFor(
          "a word about the other fleet",
          () => control?.find(/ignoring workers of another fleet .*REDIS_KEY_PREFIX/),
          5000,
          control,
        );
      }
      await sleep(3000);
      for (const { fleet } of [one, two]) {
        expect((await fleet.ringVersions()).length).toBe(1);
        const { rows } = await fleet.client.query<{ stale: number }>(
          "SELECT count(*)::int AS stale FROM work_items WHERE lasttick < now() - interval '3 seconds'",
        );
        expect(rows[0]?.stale).toBe(0);
      }
    });
  });
});

test("a bad or missing setting: exit 2 within a second, one line that names it, no stack", async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ DATABASE_URL: "" }, /^DATABASE_URL is not set/],
    [{ HEARTBEAT_MS: "0" }, /^HEARTBEAT_MS=0: must be a whole number from 50 to 10000/],
    [{ LOG_LEVEL: "loud" }, /^LOG_LEVEL=loud: must be one of/],
    [{ PORT: "70000" }, /^PORT=70000: must be/],
  ];
  const fleet = new Fleet({ databaseUrl: stores.databaseUrl, redisUrl: stores.redisUrl });
  try {
    for (const [env, expected] of cases) {
      for (const process of [fleet.worker("worker-1", env), fleet.controlPlane("control-1", env)]) {
        const startedAt = Date.now();
        expect(await process.exited).toEqual({ code: 2, signal: null });
        expect(Date.now() - startedAt).toBeLessThan(2000);
        expect(process.raw.length, process.raw.join("\n")).toBe(1);
        expect(process.raw[0]).toMatch(expected);
      }
    }
    const control = fleet.controlPlane("control-1", { DEAD_AFTER_MS: "900" });
    expect(await control.exited).toEqual({ code: 2, signal: null });
    expect(control.raw.join()).toMatch(/DEAD_AFTER_MS=900: must be at least 3 × HEARTBEAT_MS \(1500\)/);
  } finally {
    await fleet.close();
  }
});

test("a taken port is named, exit 2", async () => {
  const port = await findFreePort();
  const fleet = new Fleet({ databaseUrl: stores.databaseUrl, redisUrl: stores.redisUrl });
  try {
    const first = fleet.worker("worker-1", { PORT: String(port) });
    await first.url();
    const second = fleet.worker("worker-2", { PORT: String(port) });
    expect(await second.exited).toEqual({ code: 2, signal: null });
    expect(second.raw.join()).toMatch(new RegExp(`^port ${port} is taken: set PORT to another`));
  } finally {
    await fleet.close();
  }
});
