import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectedOwners, expectedSlot } from "../harness/expected-owners.js";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe } from "../harness/fleet-test.js";
import type { Cluster } from "./player/cluster.js";
import { PlayedFleet } from "./player/played-fleet.js";
import { Prometheus } from "./player/prometheus.js";
import { type Manifest, pick, render } from "./rendering.js";

const ROWS = 300;

// Namespaces, mounts and users of its own: that takes root.
describe.runIf(process.geteuid?.() === 0)("the chart, played", () => {
  let fleet: PlayedFleet;
  let cluster: Cluster;

  beforeAll(async () => {
    fleet = await PlayedFleet.start();
    cluster = fleet.cluster;
  });
  afterAll(() => fleet?.stop());

  const pidsOf = () => cluster.pods().map((pod) => [pod.name, pod.pid, pod.restarts]);

  test("helm install: stores, schema, control plane and 3 workers come up, and rows tick", async () => {
    await fleet.upgrade({});
    expect(cluster.pods("worker").length).toBe(3);
    expect(cluster.pods("control-plane").length).toBe(2);
    await fleet.insertRows(ROWS);
    await fleet.untilSeated(3);
    const from = (await fleet.newestTick()) + 2000;
    await fleet.untilTick(from + 2000);
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect(
      cluster.pods().every(({ restarts }) => restarts === 0),
      cluster.said,
    ).toBe(true);
  });

  test("helm test passes", async () => {
    expect(fleet.hooks.length).toBe(1);
    const pod = await cluster.runHook(fleet.hooks[0] as Manifest);
    expect(pod.phase, pod.said).toBe("Succeeded");
    expect(pod.said).toContain("every row is fresh, 3 workers are seated");
  });

  test("kubectl exec: the ringfleet of the runbooks is in the image, and the fleet is well", async () => {
    const container = cluster.pods("control-plane")[0]?.containers.get("control-plane");
    const status = ["node", "dist/cli/main.js", "status", "--url"];
    expect(await container?.exec([...status, "http://127.0.0.1:8080"], 10_000)).toBe(true);
    expect(await container?.exec([...status, "http://127.0.0.1:1"], 10_000)).toBe(false);
  });

  test("--set worker.replicaCount=7: four new processes, nobody restarted, nothing lost or doubled", async () => {
    const before = pidsOf();
    const from = (await fleet.newestTick()) + 1000;
    await fleet.upgrade({ "worker.replicaCount": "7" });
    await fleet.untilSeated(7);
    const after = pidsOf();
    expect(after).toEqual(expect.arrayContaining(before));
    expect(after.length).toBe(before.length + 4);
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
  });

  test("another image: a rolling update, each row moves once, nothing lost", async () => {
    const { rows: ids } = await fleet.client.query<{ id: string }>("SELECT id::text AS id FROM work_items");
    const { rows: newest } = await fleet.client.query<{ version: number }>(
      "SELECT max(version)::int AS version FROM versions WHERE kind = 'ring'",
    );
    const stayed = cluster.pods().filter(({ labels }) => labels["app.kubernetes.io/component"] !== "worker");
    const from = (await fleet.newestTick()) + 1000;
    const old = cluster.pods("worker").map(({ name }) => name);
    await fleet.upgrade({ "worker.replicaCount": "7", "worker.image.tag": "0.2.0" });
    await waitFor(
      "the old pods to go",
      () => !cluster.pods("worker").some(({ name }) => old.includes(name)),
      60_000,
    );
    const names = cluster.pods("worker").map(({ name }) => name);
    await waitFor(
      "the new ones to have all seats",
      async () => {
        const { rows } = await fleet.client.query<{ workers: string[] }>(
          `SELECT array(SELECT seat->>'worker' FROM jsonb_array_elements(body->'seats') seat) AS workers
           FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1`,
        );
        return rows[0]?.workers.sort().join() === names.sort().join();
      },
      90_000,
    );
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
    const { rows: views } = await fleet.client.query<{ body: Parameters<typeof expectedOwners>[0] }>(
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
    const prometheus = await Prometheus.start(cluster, fleet.folder, rules);
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
    await fleet.unwatch();
    await cluster.apply([]);
    await cluster.settled();
    for (const pid of pids) expect(() => process.kill(pid, 0), String(pid)).toThrow(/ESRCH/);
  });
});
