import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { removeUpState, writeUpState } from "../../cli/fleet/state-file.js";
import { findRunningProcess } from "../../cli/stores/running-process.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
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
  expect(stderr).toMatch(/^ringfleet: .+\n$/);
  return { code, stderr: stderr.slice("ringfleet: ".length, -1).replace(`${folder}/`, "") };
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
    stderr: `version ${scheduled.version} is to rule later and would never: cancel it first, or say "replace" (--replace)`,
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

const TICK = "a whole number from 100 to 3600000";
const KEYS = "tickMs, increment, paused, maxRowsPerSecond, custom";
const AT = "like +5s, +2m, +1h (at most 366 days), or an ISO time with its zone, like 2026-11-21T12:00:00Z";

/** `file`: content of config.json. */
const REFUSED: [args: string, code: number, stderr: unknown, file?: string][] = [
  [
    "set tickMs=50 incremnt=3",
    1,
    `tickMs: 50 must be ${TICK}; incremnt: unknown key, must be one of ${KEYS}`,
  ],
  ["set tickMs=NaN", 1, `tickMs: "NaN" must be ${TICK}`],
  ["set tickMs=-1", 1, `tickMs: -1 must be ${TICK}`],
  ["set tickMs", 2, "tickMs: must be key=value"],
  ["set custom.__proto__.x=1", 1, "custom.__proto__: this key is not allowed"],
  [`set custom${".a".repeat(30)}=1`, 1, `custom${".a".repeat(15)}: is nested deeper than 16 levels`],
  [
    "set --file config.json",
    1,
    "the body is larger than the 65536 bytes that are taken here",
    JSON.stringify({ ...DEFAULT_CONFIG, custom: { a: "x".repeat(2e6) } }),
  ],
  ["set --file config.json", 2, expect.stringMatching(/^config.json: Unexpected token/), '{"tickMs": NaN}'],
  ["set --file config.json", 2, "config.json: must hold one JSON object", "[]"],
  [
    "set --file config.json",
    1,
    `tickMs: null must be ${TICK}`,
    JSON.stringify({ ...DEFAULT_CONFIG, tickMs: null }),
  ],
  ["set", 2, "say what to set: key=value, or --file"],
  ["set increment=2 --at soon", 2, `--at soon: must be ${AT}`],
  ["set increment=2 --at +99999999999h", 2, `--at +99999999999h: must be ${AT}`],
  ["set increment=2 --at 49", 2, `--at 49: must be ${AT}`],
  ["set increment=2 --at 2030-01-01", 2, `--at 2030-01-01: must be ${AT}`],
  [
    "set increment=2 --at 2020-01-01T00:00:00Z",
    1,
    expect.stringMatching(
      /^activation at 2020-01-01T00:00:00.000Z is past, or too near for every worker to know: the earliest is \S+$/,
    ),
  ],
  ["cancel 1", 1, "version 1 is active already, or was replaced: only what is to come can be cancelled"],
  ["rollback 999", 1, "there is no config version 999"],
];

test("what can't be done changes nothing and says what can", async () => {
  const before = await config("history");
  for (const [args, code, stderr, file] of REFUSED) {
    await writeFile(join(folder, "config.json"), file ?? "");
    const answer = await refused(...args.replace("config.json", join(folder, "config.json")).split(" "));
    expect(answer, args).toEqual({ code, stderr });
  }
  env["API_TOKEN"] = `${TOKEN}-of-another`;
  expect(await refused("set", "increment=2")).toEqual({
    code: 1,
    stderr: "the control plane refuses this token: set API_TOKEN to the one that it has",
  });
  expect(await config("history")).toEqual(before);
});

test("who was slower is told so and changes nothing: set and rollback name the version that they saw", async () => {
  const api = new ConfigApi(String(env["CONTROL_PLANE_URL"]));
  // Between what the command reads and what it asks for, somebody else changes the config.
  await through(
    async () => {
      const config = { ...DEFAULT_CONFIG, increment: 50 };
      expect((await api.put({ config, activatesInMs: 60_000, replace: true })).status).toBe(200);
    },
    async () => {
      for (const [seen, args] of [
        [1, ["set", "increment=2", "--replace"]],
        [2, ["rollback", "1", "--replace"]],
      ] as const) {
        expect(await refused(...args)).toEqual({
          code: 1,
          stderr: `the change was made on version ${seen}, the highest is ${seen + 1}: read it and try again`,
        });
      }
      const { versions } = await config<{ versions: Entry[] }>("history");
      expect(versions.map(({ version, createdBy }) => [version, createdBy])).toEqual([
        [3, "api"],
        [2, "api"],
        [1, "test"],
      ]);
    },
  );
});

test("without a time a change is placed however short the ticks and long the way to the control plane", async () => {
  await config("set", "tickMs=100");
  const current = async () => (await config<{ current: Entry }>("get")).current.version;
  await waitFor("the short tick", async () => (await current()) === 2, 5000);
  await through(
    () => sleep(300),
    async () => expect(await config("set", "increment=3")).toMatchObject({ version: 3 }),
  );
});

test("the token of a running `up` goes to its own control planes and to nobody else", async () => {
  const heard: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization);
    response.writeHead(401, { "content-type": "application/json" }).end('{"code":"token_required"}');
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const running = await findRunningProcess(process.pid);
  const state = {
    pid: process.pid,
    startMark: running?.startMark ?? "",
    startedAt: "",
    databaseUrl: "",
    redisUrl: "",
    controlUrl: "",
    token: "the-token-of-up",
  };
  const ask = async (...args: string[]) => (await runCli(["config", "get", "--dir", folder, ...args])).stderr;
  try {
    writeUpState(folder, { ...state, controlPlaneUrls: [`http://127.0.0.1:${port}`] });
    expect(await ask()).toMatch(/refuses this token/);
    expect(await ask("--url", `http://localhost:${port}`)).toMatch(/refuses this token/);
    writeUpState(folder, { ...state, controlPlaneUrls: ["http://127.0.0.1:1"] });
    expect(await ask("--url", `http://127.0.0.1:${port}`)).toMatch(/asks for a token: set API_TOKEN/);
    expect(heard).toEqual(["Bearer the-token-of-up", "Bearer the-token-of-up", undefined]);
  } finally {
    removeUpState(folder);
    server.close();
  }
});

/** Runs `body` with a CLI whose requests go through a proxy that does `beforeChange` ahead of each change. */
async function through(beforeChange: () => Promise<unknown>, body: () => Promise<void>): Promise<void> {
  const base = String(env["CONTROL_PLANE_URL"]);
  const proxy = createServer(async (request, response) => {
    if (request.method === "PUT") await beforeChange();
    const chunks = await request.toArray();
    const answer = await fetch(new URL(request.url ?? "", base), {
      method: request.method ?? "GET",
      headers: request.headers as Record<string, string>,
      ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks as Buffer[]) }),
    });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  env["CONTROL_PLANE_URL"] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    await body();
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}
