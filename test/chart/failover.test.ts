import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe } from "../harness/fleet-test.js";
import { PlayedFleet } from "./player/played-fleet.js";
import type { Pod } from "./player/pod.js";

/** With what a URL, a shell and redis.conf would each stumble over. */
const PASSWORD = `p@ss/w:rd#?%41+"'$HOME&=[x]*`;
const VALUES = {
  "redis.architecture": "sentinel",
  "redis.auth.password": PASSWORD,
  "worker.kind": "StatefulSet",
};

// Namespaces, mounts and users of its own: that takes root.
describe.runIf(process.geteuid?.() === 0)("the chart's Sentinel set and StatefulSet, played", () => {
  let fleet: PlayedFleet;

  beforeAll(async () => {
    fleet = await PlayedFleet.start();
  });
  afterAll(() => fleet?.stop());

  /** `master` or `slave`, as the server in this pod says; null where it doesn't answer. */
  async function roleOf(pod: Pod): Promise<string | null> {
    const address = await fleet.cluster.address(pod, 6379);
    const options = { commandTimeout: 500, connectTimeout: 500, retryStrategy: null, lazyConnect: true };
    const redis = new Redis(`redis://:${encodeURIComponent(PASSWORD)}@${address}`, options);
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      const [role] = (await redis.call("ROLE")) as [string];
      return role;
    } catch {
      return null;
    } finally {
      redis.disconnect();
    }
  }

  async function pods(role: "master" | "slave"): Promise<Pod[]> {
    const all = fleet.cluster.pods("redis");
    const roles = await Promise.all(all.map(roleOf));
    return all.filter((_, index) => roles[index] === role);
  }

  async function seats(): Promise<Record<string, number>> {
    const { rows } = await fleet.client.query<{ worker: string; incarnation: number }>(
      `SELECT seat->>'worker' AS worker, (seat->>'incarnation')::int AS incarnation FROM
         (SELECT body FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1) AS newest,
         jsonb_array_elements(body->'seats') AS seat`,
    );
    return Object.fromEntries(rows.map(({ worker, incarnation }) => [worker, incarnation]));
  }

  const freeze = (pod: Pod, signal: "SIGSTOP" | "SIGCONT") => {
    for (const container of pod.containers.values()) container.signal(signal);
  };

  test("install: one master, two replicas, workers under their own names", async () => {
    await fleet.upgrade(VALUES);
    expect((await pods("master")).length, fleet.cluster.said).toBe(1);
    await waitFor("two replicas", async () => (await pods("slave")).length === 2, 30_000);
    await fleet.insertRows(200);
    await fleet.untilSeated(3);
    expect(Object.keys(await seats()).sort()).toEqual([0, 1, 2].map((n) => `fleet-ringfleet-worker-${n}`));
  });

  test("the master's node freezes: another one is elected, work goes on, and who comes is seated", async () => {
    const [old] = await pods("master");
    if (old === undefined) throw new Error("no master");
    const from = (await fleet.newestTick()) + 1000;
    const views = Object.keys(await seats());
    freeze(old, "SIGSTOP");
    await waitFor("another master", async () => (await pods("master")).length === 1, 60_000);
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect(Object.keys(await seats())).toEqual(views);

    // Its heartbeats go to the new master, or nobody would know that it has come back.
    const [victim] = fleet.cluster.pods("worker");
    const before = await seats();
    victim?.containers.get("worker")?.signal("SIGKILL");
    const name = victim?.name ?? "";
    await waitFor(
      "the restarted worker to have its seat again",
      async () => ((await seats())[name] ?? 0) > (before[name] ?? 0),
      30_000,
    );
    freeze(old, "SIGCONT");
    await waitFor("the old master to follow", async () => (await roleOf(old)) === "slave", 60_000);
    expect((await pods("master")).length).toBe(1);
    expectSafe(await fleet.judge(from));
  });

  test("the Redis set is rolled out anew, its master too: nothing lost, nobody loses a seat", async () => {
    const before = await seats();
    const from = (await fleet.newestTick()) + 1000;
    await fleet.upgrade({ ...VALUES, "redis.podAnnotations.restarted": "once" });
    await waitFor("one master", async () => (await pods("master")).length === 1, 60_000);
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
    expect(await seats()).toEqual(before);
  });

  test("another image: the StatefulSet's workers are replaced one by one under their names, nothing lost", async () => {
    const before = await seats();
    const from = (await fleet.newestTick()) + 1000;
    await fleet.upgrade({ ...VALUES, "worker.image.tag": "0.2.0" });
    await waitFor(
      "the new ones to have all seats",
      async () => {
        const after = await seats();
        return Object.entries(before).every(([name, incarnation]) => (after[name] ?? 0) > incarnation);
      },
      90_000,
    );
    const report = await fleet.judge(from);
    expectSafe(report);
    expectNothingLost(report);
  });
});
