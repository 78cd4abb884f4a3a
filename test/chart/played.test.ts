import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditReport, installAudit, judgeAudit } from "../harness/audit.js";
import { ControlProbe } from "../harness/control-probe.js";
import { expectedOwners, expectedSlot } from "../harness/expected-owners.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe } from "../harness/fleet-test.js";
import { Cluster } from "./player/cluster.js";
import { Prometheus } from "./player/prometheus.js";
import { renderUpgrade } from "./player/release.js";
import { type Manifest, pick, render } from "./rendering.js";

const ROWS = 300;

// Namespaces, mounts and users of its own: that takes root.
describe.runIf(process.geteuid?.() === 0)("the chart, played", () => {
  let folder: string;
  let cluster: Cluster;
  let client: pg.Client;
  let probe: ControlProbe;
  let hooks: Manifest[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ringfleet-cluster-"));
    await chmod(folder, 0o755);
    cluster = await Cluster.start(folder);
  });
  afterAll(async () => {
    await client?.end();
    await probe?.stop();
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function upgrade(values: Record<string, string>): Promise<void> {
    const manifests = await renderUpgrade(cluster.objects, values);
    hooks = manifests.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === "test");
    await cluster.apply(manifests);
    await cluster.settled().catch((error: unknown) => {
      throw new Error(`${String(error)}\n${cluster.said}`);
    });
  }

  async function databaseUrl(): Promise<string> {
    const secret = cluster.objects.find(
      ({ metadata, kind }) => kind === "Secret" && /-postgresql$/.test(metadata.name),
    );
    const password = Buffer.from(secret?.["data"]["postgres-password"], "base64").toString();
    const [postgres] = cluster.pods("postgresql");
    if (postgres === undefined) throw new Error("no Postgres");
    return `postgresql://postgres:${password}@${await cluster.address(postgres, 5432)}/ringfleet`;
  }

  async function newestTick(): Promise<number> {
    const { rows } = await client.query<{ tick: number }>(
      "SELECT (extract(epoch FROM max(tick)) * 1000)::float8 AS tick FROM ticks",
    );
    return rows[0]?.tick ?? 0;
  }

  async function untilTick(tick: number): Promise<void> {
    await waitFor("ticks to go on", async () => (await newestTick()) >= tick + 2000, 60_000);
  }

  /** Resolves when the newest view seats just these many, and a tick is sealed with it. */
  async function untilSeated(count: number): Promise<void> {
    await waitFor(
      `${count} seated workers`,
      async () => {
        const { rows } = await client.query<{ seats: number; sealed: boolean }>(
          `SELECT jsonb_array_length(body->'seats') AS seats,
             version = (SELECT ring FROM ticks ORDER BY tick DESC LIMIT 1) AS sealed
           FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1`,
        );
        return rows[0]?.seats === count && rows[0].sealed;
      },
      60_000,
    );
  }

  async function judge(from: number): Promise<AuditReport> {
    await untilTick((await newestTick()) + 1000);
    const window = { from, to: (await newestTick()) - 2000 };
    return await judgeAudit(client, { ...window, excused: await probe.missed(client, window) });
  }

  const pidsOf = () => cluster.pods().map((pod) => [pod.name, pod.pid, pod.restarts]);

  test("helm install: stores, schema, control plane and 3 workers come up, and rows tick", async () => {
    await upgrade({});
    expect(cluster.pods("worker").length).toBe(3);
    expect(cluster.pods("control-plane").length).toBe(2);
    const url = await databaseUrl();
    client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1)", [
      ROWS,
    ]);
    await installAudit(client);
    // The fleet's own role writes the audit.
    await client.query("GRANT ALL ON ALL TABLES IN SCHEMA public TO ringfleet");
    probe = await ControlProbe.start(url);
    await untilSeated(3);
    const from = (await newestTick()) + 2000;
    await untilTick(from + 2000);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect(
      cluster.pods().every(({ restarts }) => restarts === 0),
      cluster.said,
    ).toBe(true);
  });

  test("helm test passes", async () => {
    expect(hooks.length).toBe(1);
    const pod = await cluster.runHook(hooks[0] as Manifest);
    expect(pod.phase, pod.said).toBe("Succeeded");
    expect(pod.said).toContain("every row is fresh, 3 workers are seated");
  });

  test("--set worker.replicaCount=7: four new processes, nobody restarted, nothing lost or doubled", async () => {
    const before = pidsOf();
    const from = (await newestTick()) + 1000;
    await upgrade({ "worker.replicaCount": "7" });
    await untilSeated(7);
    const after = pidsOf();
    expect(after).toEqual(expect.arrayContaining(before));
    expect(after.length).toBe(before.length + 4);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
  });

  test("another image: a rolling update, each row moves once, nothing lost", async () => {
    const { rows: ids } = await client.query<{ id: string }>("SELECT id::text AS id FROM work_items");
    const { rows: newest } = await client.query<{ version: number }>(
      "SELECT max(version)::int AS version FROM versions WHERE kind = 'ring'",
    );
    const stayed = cluster.pods().filter(({ labels }) => labels["app.kubernetes.io/component"] !== "worker");
    const from = (await newestTick()) + 1000;
    const old = cluster.pods("worker").map(({ name }) => name);
    await upgrade({ "worker.replicaCount": "7", "worker.image.tag": "0.2.0" });
    await waitFor(
      "the old pods to go",
      () => !cluster.pods("worker").some(({ name }) => old.includes(name)),
      60_000,
    );
    const names = cluster.pods("worker").map(({ name }) => name);
    await waitFor(
      "the new ones to have all seats",
      async () => {
        const { rows } = await client.query<{ workers: string[] }>(
          `SELECT array(SELECT seat->>'worker' FROM jsonb_array_elements(body->'seats') seat) AS workers
           FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1`,
        );
        return rows[0]?.workers.sort().join() === names.sort().join();
      },
      90_000,
    );
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    const { rows: views } = await client.query<{ body: Parameters<typeof expectedOwners>[0] }>(
      "SELECT body FROM versions WHERE kind = 'ring' AND version >= $1 ORDER BY version",
      [newest[0]?.version],
    );
    const owners = views.map(({ body }) => expectedOwners(body));
    const moves = ids.map(
      ({ id }) =>
        owners.filter(
          (view, index) => index > 0 && view[expectedSlot(id)] !== owners[index - 1]?.[expectedSlot(id)],
        ).length,
    );
    expect(Math.max(...moves), "moves of a row").toBe(1);
    expect(Math.min(...moves), "moves of a row").toBe(1);
    expect(cluster.pods()).toEqual(expect.arrayContaining(stayed));
  });

  test("a real Prometheus scrapes it: every series that the alerts ask for is there, and no alert is up", async () => {
    const rendered = render(["--set", "metrics.prometheusRule.enabled=true"]);
    const rules = pick(rendered, "PrometheusRule", "fleet-ringfleet")["spec"];
    const prometheus = await Prometheus.start(cluster, folder, rules);
    try {
      await prometheus.untilUp(cluster.pods("worker").length + cluster.pods("control-plane").length);
      const asked = (rules.groups[0].rules as Manifest[]).flatMap(
        ({ expr }) => expr.match(/ringfleet_\w+\{[^}]*\}/g) as string[],
      );
      expect(asked.length).toBeGreaterThanOrEqual(16);
      for (const selector of new Set(asked)) {
        expect((await prometheus.query(selector)).length, selector).toBeGreaterThan(0);
      }
      expect(await prometheus.query("sum(ringfleet_slice_rows)")).toEqual([ROWS]);
      const states = await prometheus.ruleStates();
      expect(states.map(({ health, lastError }) => lastError ?? health)).toEqual(states.map(() => "ok"));
      expect(states.filter(({ state }) => state === "firing").map(({ name }) => name)).toEqual([]);
    } finally {
      await prometheus.stop();
    }
  });

  test("helm uninstall: every process is gone", async () => {
    const pids = cluster.pods().map(({ pid }) => pid ?? -1);
    await client.end();
    await probe.stop();
    await cluster.apply([]);
    await cluster.settled();
    for (const pid of pids) expect(() => process.kill(pid, 0), String(pid)).toThrow(/ESRCH/);
  });
});
