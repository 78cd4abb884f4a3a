import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { TOKEN } from "../harness/config-api.js";
import { Fleet, waitFor } from "../harness/fleet.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";
import { runCli } from "../harness/up.js";

let stores: TestStores;
let fleet: Fleet;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  stores = await startTestStores();
  folder = await mkdtemp(join(tmpdir(), "ringfleet-config-"));
});
afterAll(async () => {
  await stores.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  const databaseUrl = await prepareDatabase(stores);
  fleet = new Fleet({ databaseUrl, redisUrl: stores.redisUrl, env: { API_TOKEN: TOKEN } });
  await fleet.client.connect();
  const url = await fleet.controlPlane("control-1").url();
  env = { CONTROL_PLANE_URL: url, API_TOKEN: TOKEN, USER: "nina" };
  await waitFor("the API", async () => (await fetch(`${url}/readyz`)).ok, 10_000);
});
afterEach(() => fleet.close());

interface Entry {
  version: number;
  createdBy: string;
  reason: string;
  config: Record<string, unknown>;
}

async function config<T = Entry>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await runCli(["config", ...args, "--json"], env);
  expect(code, stdout + stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

async function refused(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await runCli(["config", ...args], env);
  expect(stdout).toBe("");
  return { code, stderr: stderr.trim() };
}

test("a change builds on what rules when it does, and not on what rules now", async () => {
  await config("set", "tickMs=30000");
  const current = async () => (await config<{ current: Entry }>("get")).current.version;
  await waitFor("the long tick", async () => (await current()) === 2, 5000);
  await config("set", "increment=3");
  // The one before rules at the next boundary, up to 30 s from now; this one comes after it.
  const second = await config("set", "custom.region=eu");
  expect(second.config).toEqual({
    ...DEFAULT_CONFIG,
    tickMs: 30_000,
    increment: 3,
    custom: { region: "eu" },
  });
  await config("set", "increment=4", "--at", "+1h");
  const later = await config("set", "custom.region=us", "--at", "+2h");
  expect(later.config).toMatchObject({ increment: 4, custom: { region: "us" } });
  const between = await config("set", "maxRowsPerSecond=50", "--at", "+90m", "--replace");
  expect(between.config).toMatchObject({ increment: 4, maxRowsPerSecond: 50, custom: { region: "eu" } });
});

test("history says who and why; diff, rollback and cancel", async () => {
  const file = join(folder, "config.json");
  await writeFile(file, JSON.stringify({ ...DEFAULT_CONFIG, increment: 7 }));
  const set = await config("set", "--file", file, "paused=true", "--reason", "maintenance");
  expect(set).toMatchObject({
    version: 2,
    createdBy: "nina (cli)",
    reason: "maintenance",
    config: { increment: 7, paused: true },
  });
  expect(await config("diff", "1", String(set.version))).toMatchObject({
    differences: [
      { path: "increment", before: "1", after: "7" },
      { path: "paused", before: "false", after: "true" },
    ],
  });
  const scheduled = await config("set", "increment=9", "--at", "+1h");
  expect(await refused("set", "increment=8")).toEqual({
    code: 1,
    stderr: `ringfleet: version ${scheduled.version} is to rule later and would never: cancel it first, or say "replace" (--replace)`,
  });
  const cancelled = await config("cancel", String(scheduled.version), "--reason", "not today");
  expect(cancelled).toMatchObject({ createdBy: "nina (cli)", reason: "not today", config: { increment: 7 } });
  const back = await config("rollback", "1");
  expect(back).toMatchObject({ config: DEFAULT_CONFIG, reason: "rollback to 1" });
  const { versions } = await config<{ versions: Entry[] }>("history", "--limit", "3");
  expect(versions.map(({ version, reason }) => [version, reason])).toEqual([
    [back.version, "rollback to 1"],
    [cancelled.version, "not today"],
    [scheduled.version, ""],
  ]);
});

test("what can't be done changes nothing and says what can", async () => {
  const before = await config("history");
  expect(await refused("set", "tickMs=50", "incremnt=3")).toEqual({
    code: 1,
    stderr:
      "ringfleet: tickMs: 50 must be a whole number from 100 to 3600000; incremnt: unknown key, must be one of tickMs, increment, paused, maxRowsPerSecond, custom",
  });
  expect(await refused("set", "increment=2", "--at", "2020-01-01T00:00:00Z")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^ringfleet: activation at 2020-01-01T00:00:00.000Z is past, or too near .*: the earliest is /,
    ),
  });
  expect(await refused("set", "increment=2", "--at", "soon")).toEqual({
    code: 2,
    stderr: "ringfleet: --at soon: must be like +5s, +2m, +1h, or an ISO time",
  });
  expect(await refused("set")).toMatchObject({ code: 2 });
  expect(await refused("cancel", "1")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("version 1 is active already, or was replaced"),
  });
  expect(await refused("rollback", "999")).toMatchObject({
    code: 1,
    stderr: "ringfleet: there is no config version 999",
  });
  env["API_TOKEN"] = `${TOKEN}-of-another`;
  expect(await refused("set", "increment=2")).toEqual({
    code: 1,
    stderr: "ringfleet: the control plane refuses this token: set API_TOKEN to the one that it has",
  });
  expect(await config("history")).toEqual(before);
});
