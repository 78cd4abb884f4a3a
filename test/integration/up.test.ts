import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installAudit, judgeAudit } from "../harness/audit.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe } from "../harness/fleet-test.js";
import { descendantsOf } from "../harness/processes.js";
import { runCli, Up } from "../harness/up.js";

let up: Up;
let client: pg.Client;

beforeAll(async () => {
  up = await Up.start(["--port", "0"]);
  await up.untilWorking(3);
  client = new pg.Client({ connectionString: up.state().databaseUrl });
  await client.connect();
});
afterAll(async () => {
  await client.end().catch(() => undefined);
  await up.close();
});

async function newestTick(): Promise<number> {
  const { rows } = await client.query<{ tick: number }>(
    "SELECT (extract(epoch FROM max(tick)) * 1000)::float8 AS tick FROM ticks",
  );
  return rows[0]?.tick ?? 0;
}

test("10 rows, 3 workers: within 5 s every row gains exactly 1 a second, shares 4/3/3, the printed ids stay", async () => {
  const log = readFileSync(join(up.folder, "postgres.log"), "utf8");
  const [, readyAt = ""] = /^(\S+ \S+) UTC .*ready to accept connections/m.exec(log) ?? [];
  const { rows: first } = await client.query<{ tick: number }>(
    "SELECT (extract(epoch FROM min(tick)) * 1000)::float8 AS tick FROM ticks",
  );
  const tookMs = (first[0]?.tick ?? Number.NaN) - Date.parse(`${readyAt.replace(" ", "T")}Z`);
  console.log(`first tick ${tookMs} ms after Postgres accepted connections`);
  expect(tookMs).toBeLessThanOrEqual(5000);

  await installAudit(client);
  const watchedSince = Date.now();
  const from = (await newestTick()) + 1000;
  await waitFor("6 more ticks", async () => (await newestTick()) >= from + 6000, 15_000);
  const report = await judgeAudit(client, { from, to: from + 4000 });
  expectSafe(report);
  expectNothingLost(report);
  // Every tick since the first one worked every row.
  const { rows } = await client.query<{ value: number; behind: number }>(
    `SELECT value, (SELECT count(*)::int FROM ticks WHERE tick <= lasttick) - value AS behind FROM work_items`,
  );
  expect(rows.length).toBe(10);
  expect(rows.map((row) => row.behind)).toEqual(Array(10).fill(0));
  const { rows: shares } = await client.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM work_items GROUP BY currentworker ORDER BY 1 DESC",
  );
  expect(shares.map((share) => share.n)).toEqual([4, 3, 3]);

  for (const worker of ["worker-1", "worker-2", "worker-3"]) {
    const printed = up.lines.filter(
      (line) => line.process === worker && (line.watching?.length ?? 0) > 0 && line.at > watchedSince,
    );
    expect(printed.length).toBeGreaterThanOrEqual(5);
    const lists = new Set(printed.map((line) => line.watching?.join(" ")));
    expect(lists.size, `${worker} prints the same ids each second`).toBe(1);
    const { rows: mine } = await client.query<{ id: string }>(
      "SELECT id::text AS id FROM work_items WHERE currentworker = $1 ORDER BY id",
      [worker],
    );
    expect([...lists][0]).toBe(mine.map((row) => row.id).join(" "));
  }
});

test("every command answers, and as JSON alone with --json", async () => {
  const { rows } = await client.query<{ id: string }>("SELECT id::text AS id FROM work_items LIMIT 1");
  const id = rows[0]?.id ?? "";
  const commands = [
    ["status"],
    ["workers"],
    ["ring"],
    ["slice", "worker-1"],
    ["owner", id],
    ["rows"],
    ["plan", "--workers", "5"],
    ["migrate"],
    ["config", "default"],
  ];
  for (const command of commands) {
    const text = await runCli([...command, "--dir", up.folder]);
    expect(text, command.join(" ")).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout.length).toBeGreaterThan(10);
    const json = await runCli([...command, "--json", "--dir", up.folder]);
    expect(json, command.join(" ")).toMatchObject({ code: 0, stderr: "" });
    expect(() => JSON.parse(json.stdout) as unknown, command.join(" ")).not.toThrow();
  }
  const failures: [string[], number, string][] = [
    [["slice", "nobody", "--json", "--dir", up.folder], 1, "worker_not_found"],
    [["owner", "no-such-id", "--json", "--dir", up.folder], 1, "item_not_found"],
    [["workers", "--url", "http://127.0.0.1:1", "--json"], 5, "unreachable"],
    [["workers", "--dir", "/nowhere", "--json"], 5, "fleet_not_found"],
    [["plan", "--workers", "many", "--json"], 2, "usage"],
    [["no-such-command", "--json"], 2, "usage"],
  ];
  for (const [args, code, expected] of failures) {
    const failed = await runCli(args);
    expect(failed, args.join(" ")).toMatchObject({ code, stderr: "" });
    expect(JSON.parse(failed.stdout), args.join(" ")).toMatchObject({ error: { code: expected } });
  }
});

test("a plan tells what a scale then does; scaling restarts nobody and loses nothing", async () => {
  const from = (await newestTick()) + 1000;
  const pids = async () => {
    const answer = await fetch(new URL("/v1/workers", up.state().controlPlaneUrls[0]));
    const { workers } = (await answer.json()) as { workers: { name: string; incarnation: number }[] };
    return new Map(workers.map((worker) => [worker.name, worker.incarnation]));
  };
  const before = await pids();
  // One newcomer: several may come too far apart, on a busy machine, to share the view that the plan is of.
  const preview = await runCli(["plan", "--workers", "4", "--json", "--dir", up.folder]);
  const { moved } = JSON.parse(preview.stdout) as { moved: number };
  const newestRing = async () =>
    (
      await client.query<{ version: number; reason: string }>(
        "SELECT version::int, reason FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1",
      )
    ).rows[0];
  const first = await newestRing();
  const scaled = await runCli(["scale", "4", "--json", "--dir", up.folder]);
  expect(scaled.code, scaled.stdout).toBe(0);
  const second = await newestRing();
  expect(second).toEqual({ version: (first?.version ?? 0) + 1, reason: "join" });
  const ringChange = up.lines.find((line) => line.msg.startsWith(`ring ${second?.version} (join)`));
  expect(ringChange?.msg).toContain(`${moved} rows move`);
  const after = await pids();
  for (const [name, incarnation] of before) expect(after.get(name)).toBe(incarnation);
  await up.untilWorking(4);
  expect((await runCli(["scale", "2", "--dir", up.folder])).code).toBe(0);
  // Who left in order is no trouble to report.
  const leftInOrder = async () => (await runCli(["status", "--dir", up.folder])).code === 0;
  await waitFor("status to find the smaller fleet healthy", leftInOrder, 5000);
  await waitFor("2 more ticks", async () => (await newestTick()) >= from + 8000, 15_000);
  const report = await judgeAudit(client, { from, to: from + 6000 });
  expectSafe(report);
  expectNothingLost(report);
});

test("a crashed worker is started again by itself", async () => {
  const answer = await fetch(new URL("/v1/workers", up.state().controlPlaneUrls[0]));
  const { workers } = (await answer.json()) as {
    workers: { name: string; incarnation: number; address: string }[];
  };
  const victim = workers.find((worker) => worker.name === "worker-1");
  const { rows } = await client.query<{ pid: string }>(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = $1",
    [`ringfleet/worker-1/${victim?.incarnation}`],
  );
  expect(rows.length).toBeGreaterThan(0);
  const children = await descendantsOf(up.child.pid ?? -1);
  for (const pid of children) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (environment.includes("WORKER_NAME=worker-1\0")) process.kill(pid, "SIGKILL");
  }
  await waitFor(
    "its restart",
    () => up.lines.some((line) => /worker-1 was ended by SIGKILL: starting it again in 1 s/.test(line.msg)),
    5000,
  );
  await waitFor(
    "its seat",
    async () => {
      const again = await fetch(new URL("/v1/workers", up.state().controlPlaneUrls[0]));
      const now = (await again.json()) as {
        workers: { name: string; incarnation: number; seat: number | null }[];
      };
      return now.workers.some(
        (worker) =>
          worker.name === "worker-1" && worker.seat !== null && worker.incarnation !== victim?.incarnation,
      );
    },
    15_000,
  );
});

test("a second up, too many workers, a taken port: a clear answer, exit 2, nothing started", async () => {
  // Its port is taken, too: by the one that runs here, which is what has to be told.
  const port0 = new URL(up.state().controlPlaneUrls[0] ?? "").port;
  const second = await runCli(["up", "--port", port0, "--dir", up.folder, "--json"]);
  expect(second.code).toBe(2);
  expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: "already_up" } });
  const many = await runCli(["up", "--workers", "200", "--port", "0", "--dir", `${up.folder}-many`]);
  expect(many.code).toBe(2);
  expect(many.stderr).toMatch(/200 workers are too many for this machine, at most \d+ here/);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const taken = await runCli(["up", "--port", String(port), "--dir", `${up.folder}-taken`]);
  server.close();
  expect(taken.code).toBe(2);
  expect(taken.stderr).toMatch(new RegExp(`port ${port} can't be used: something else listens there`));
});

test("Ctrl-C drains everything within 5 s and leaves no process; the data survives; a second one forces", async () => {
  const { rows } = await client.query<{ sum: number }>("SELECT sum(value)::int AS sum FROM work_items");
  const { rows: seated } = await client.query<{ n: number }>(
    "SELECT jsonb_array_length(body->'seats') AS n FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1",
  );
  await client.end();
  await up.notePids();
  const startedAt = Date.now();
  up.child.kill("SIGINT");
  expect(await up.exited).toEqual({ code: 0, signal: null });
  const tookMs = Date.now() - startedAt;
  console.log(`everything ended ${tookMs} ms after Ctrl-C`);
  expect(tookMs).toBeLessThanOrEqual(5000);
  await up.untilGone(500);
  const handedOver = up.lines.filter((line) => /^handed over/.test(line.msg) && line.at >= startedAt);
  expect(handedOver.length).toBe(seated[0]?.n);

  up = await Up.start(["--port", "0", "--workers", "2"], up.folder);
  await up.untilWorking(2);
  const again = new pg.Client({ connectionString: up.state().databaseUrl });
  await again.connect();
  const { rows: after } = await again.query<{ sum: number; n: number }>(
    "SELECT sum(value)::int AS sum, count(*)::int AS n FROM work_items",
  );
  await again.end();
  expect(after[0]?.n).toBe(10);
  expect(after[0]?.sum).toBeGreaterThan(rows[0]?.sum ?? Number.NaN);
  up.child.kill("SIGINT");
  up.child.kill("SIGINT");
  await up.exited;
  await up.untilGone(2000);
});

test("a token of one's own is found by the commands as well; kill -9 of up leaves no process behind", async () => {
  up = await Up.start(["--port", "0", "--workers", "2"], up.folder, { API_TOKEN: "a-token-of-ones-own" });
  await up.untilWorking(2);
  const set = await runCli(["config", "set", "increment=2", "--dir", up.folder]);
  expect(set).toMatchObject({ code: 0, stderr: "" });
  up.child.kill("SIGKILL");
  await up.exited;
  await up.untilGone(10_000);
  const status = await runCli(["status", "--dir", up.folder, "--json"]);
  expect(JSON.parse(status.stdout)).toMatchObject({ error: { code: "fleet_not_found" } });
});
