import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { knownMigrations } from "../../core/postgres/schema.js";
import { startTestStores, type TestStores } from "../harness/stores.js";
import { runCli } from "../harness/up.js";

let stores: TestStores;
let folder: string;

beforeAll(async () => {
  stores = await startTestStores({ postgres: { maxConnections: 30 } });
  folder = await mkdtemp(join(tmpdir(), "ringfleet-cli-"));
});
afterAll(async () => {
  await stores.close();
  await rm(folder, { recursive: true, force: true });
});

/** The error of a command with --json, its exit code, and that nothing else was printed. */
async function errorOf(args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await runCli([...args, "--json"], env);
  expect(stderr).toBe("");
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  return { exit: code, ...error };
}

test("migrate and config default, from the environment or a file of it; a config is never overwritten", async () => {
  const url = await stores.createDatabase("cli_migrate");
  const secret = join(folder, "database-url");
  await writeFile(secret, `${url}\n`);
  const env = { DATABASE_URL_FILE: secret };
  expect(await errorOf(["rows"], env)).toMatchObject({ exit: 1, code: "no_schema" });
  const both = await Promise.all([runCli(["migrate", "--json"], env), runCli(["migrate", "--json"], env)]);
  const applied = both.flatMap((one) => (JSON.parse(one.stdout) as { applied: string[] }).applied);
  expect(applied).toEqual([...new Set(applied)]);
  expect(applied.length).toBeGreaterThan(0);

  const file = join(folder, "config.json");
  for (const [content, message] of [
    ["null", /must hold one JSON object/],
    ['{"tickMs": 5}', /tickMs: /],
    ['{"ticks": 5}', /ticks/],
    ["{", /JSON/],
  ] as const) {
    await writeFile(file, content);
    const refused = await errorOf(["config", "default", "--file", file], env);
    expect(refused).toMatchObject({ exit: 2, code: "bad_config" });
    expect(refused.message).toMatch(message);
  }
  await writeFile(file, '{"tickMs": 5000}');
  const first = await runCli(["config", "default", "--file", file, "--json"], env);
  expect(JSON.parse(first.stdout)).toMatchObject({ inserted: true, config: { tickMs: 5000, increment: 1 } });
  const second = await runCli(["config", "default", "--json"], env);
  expect(JSON.parse(second.stdout)).toMatchObject({ inserted: false });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("SELECT body->>'tickMs' AS tick FROM versions WHERE kind = 'config'");
  await client.end();
  expect(rows).toEqual([{ tick: "5000" }]);
});

test("a newer schema is refused with both versions, exit 3, by migrate and by up", async () => {
  const env = { DATABASE_URL: await stores.createDatabase("cli_newer"), REDIS_URL: stores.redisUrl };
  expect((await runCli(["migrate"], env)).code).toBe(0);
  const client = new pg.Client({ connectionString: env.DATABASE_URL });
  await client.connect();
  await client.query("INSERT INTO schema_migrations (name, run_on) VALUES ('9999_later', now())");
  await client.end();
  const newest = knownMigrations().at(-1);
  for (const args of [["migrate"], ["up", "--port", "0", "--dir", join(folder, "newer")]]) {
    // Of `up`, the last line: before it, its processes may have said something.
    const { code, stdout } = await runCli([...args, "--json"], env);
    expect(code, stdout).toBe(3);
    expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      error: { code: "unknown_schema", message: expect.stringMatching(new RegExp(`9999_later.*${newest}`)) },
    });
  }
});

test("up refuses what can't work before it starts anything", async () => {
  const dir = join(folder, "refused");
  const up = ["up", "--port", "0", "--dir", dir];
  const env = { DATABASE_URL: await stores.createDatabase("cli_up"), REDIS_URL: stores.redisUrl };
  const crowded = await errorOf([...up, "--workers", "30"], env);
  expect(crowded).toMatchObject({ exit: 2, code: "too_few_connections" });
  expect(crowded.message).toMatch(/not for 30: of its 30 connections/);
  expect(await errorOf(up, { ...env, DEAD_AFTER_MS: "200" })).toEqual({
    exit: 2,
    code: "settings_invalid",
    message: "DEAD_AFTER_MS=200: must be at least 3 × HEARTBEAT_MS (1500)",
  });
  const secret = { DATABASE_URL: "postgres://me:hidden@127.0.0.1:1/x" };
  const silent = await errorOf(up, { ...env, ...secret });
  expect(silent).toMatchObject({ exit: 5, code: "unreachable" });
  expect(silent.message).not.toContain("hidden");
  const file = join(folder, "a-file");
  await writeFile(file, "");
  expect(await errorOf(["up", "--port", "0", "--dir", file], env)).toMatchObject({
    exit: 2,
    code: "folder_unusable",
  });
  expect(await readdir(folder)).not.toContain("refused");
});

test("who can't be reached, or is no control plane, is told", async () => {
  expect(await errorOf(["status", "--url", "nonsense"])).toMatchObject({ exit: 2, code: "usage" });
  expect(await errorOf(["status"], { CONTROL_PLANE_URL: "http://127.0.0.1:1" })).toMatchObject({
    exit: 5,
    code: "unreachable",
  });
  expect(await errorOf(["migrate", "--dir", folder])).toMatchObject({ exit: 2, code: "database_not_found" });
  expect(await errorOf(["scale", "3", "--dir", folder])).toMatchObject({ exit: 5, code: "fleet_not_found" });
});
