import { afterAll, beforeAll, expect, test } from "vitest";
import { redisAddress } from "../../core/redis/address.js";
import { closeRedis, connectRedis } from "../../core/redis/connection.js";
import { parseWorkerSettings } from "../../core/settings/settings.js";
import { reasonWithAdvice } from "../../core/tls/tls-advice.js";
import { type Certificates, makeCertificates } from "../harness/certificates.js";
import { type Fleet, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { startSentinelSet } from "../harness/redis-sentinel.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
let certificates: Certificates;
beforeAll(async () => {
  [stores, certificates] = await Promise.all([startTestStores(), makeCertificates()]);
});
afterAll(async () => {
  await stores.close();
  await certificates.close();
});

interface Seen {
  name: string;
  state: string;
  beatAgeMs: number;
}

/** What the control plane sees in Redis. */
async function workersSeen(fleet: Fleet): Promise<Seen[]> {
  const control = fleet.running().find(({ name }) => name === "control-1");
  const answer = await fetch(`${await control?.url()}/v1/workers`);
  return ((await answer.json()) as { workers: Seen[] }).workers;
}

test("Sentinel: the master dies, the fleet follows to the new one within 3 s, and a dead worker stays dead", async () => {
  const { ca, server } = certificates;
  const set = await startSentinelSet({ caFile: ca.file, server });
  const env = { ...set.env, REDIS_TLS_CA_FILE: ca.file };
  try {
    await withFleet(stores, { rows: 150, env }, async ({ fleet, nextTick, judge }) => {
      fleet.controlPlane("control-1");
      fleet.workers(4);
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-4"]);
      fleet.processes.find(({ name }) => name === "worker-4")?.signal("SIGKILL");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
      await fleet.untilTick(await nextTick());
      const from = await nextTick();
      const views = (await fleet.ringVersions()).length;
      const before = await set.masterPort();

      // And a sentinel with it, as when a machine goes; two of three are a majority still.
      set.sentinels[0]?.send("SIGKILL");
      await set.master.kill("SIGKILL");
      await waitFor("the sentinels to promote", async () => (await set.masterPort()) !== before, 15_000);
      const promotedAt = Date.now();
      await waitFor(
        "the leader to see the living",
        async () => {
          const seen = await workersSeen(fleet);
          const fresh = seen.filter(({ beatAgeMs }) => beatAgeMs < Date.now() - promotedAt);
          return fresh.filter(({ state }) => state === "seated").length === 3;
        },
        10_000,
      );
      const tookMs = Date.now() - promotedAt;
      console.log(`Sentinel: heartbeats on the new master seen ${tookMs} ms after its promotion`);
      expect(tookMs).toBeLessThanOrEqual(3000);
      // The old master comes back as a replica, while the membership changes on the new one.
      await set.master.restart();
      fleet.worker("worker-5");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-5"]);
      await fleet.untilTick((await nextTick()) + 1000);
      expect((await fleet.seated()).sort()).toEqual(["worker-1", "worker-2", "worker-3", "worker-5"]);
      expect((await fleet.ringVersions()).length, "ring changes: the newcomer's").toBe(views + 1);
      const report = await judge(from);
      expectSafe(report);
      expectNothingLost(report);
    });
  } finally {
    await set.close();
  }
});

test("Sentinel without TLS; sentinels that can't be reached are told by their setting", async () => {
  const set = await startSentinelSet(null, 1);
  const ask = async (env: Record<string, string>): Promise<string> => {
    const settings = parseWorkerSettings({ DATABASE_URL: "postgres://db/x", ...set.env, ...env });
    const address = redisAddress(settings, () => undefined);
    return await new Promise((resolve) => {
      const redis = connectRedis({
        address,
        connectionName: "test",
        onError: (error) => {
          resolve(reasonWithAdvice("Redis", error));
          closeRedis(redis);
        },
      });
      redis.once("ready", () => {
        resolve("ready");
        closeRedis(redis);
      });
    });
  };
  try {
    expect(await ask({})).toBe("ready");
    expect(await ask({ REDIS_SENTINELS: "127.0.0.1:1" })).toMatch(/look at REDIS_SENTINELS/);
    expect(await ask({ REDIS_SENTINEL_PASSWORD: "wrong" })).toMatch(/REDIS_SENTINEL_PASSWORD/);
    expect(await ask({ REDIS_SENTINEL_MASTER: "unknown" })).toMatch(/REDIS_SENTINEL_MASTER/);
  } finally {
    await set.close();
  }
});

test("a connection is given up by nobody but its owner, and leaves a master that became a replica", async () => {
  const redis = connectRedis({
    address: { url: stores.redisUrl, tls: null, sentinel: null },
    connectionName: "test",
    onError: () => undefined,
  });
  let ready = 0;
  redis.on("ready", () => {
    ready += 1;
  });
  try {
    await waitFor("the first connection", () => ready === 1, 5000);
    // As ioredis itself ends it, for good, where a socket can't be made.
    redis.disconnect();
    await waitFor("the second connection", () => ready === 2, 5000);
    await redis.replicaof("127.0.0.1", 1);
    await expect(redis.set("key", "value")).rejects.toThrow(/^READONLY/);
    await waitFor("the third connection", () => ready === 3, 5000);
    await redis.replicaof("NO", "ONE");
    await redis.set("key", "value");
  } finally {
    closeRedis(redis);
  }
  await waitFor("its end", () => redis.status === "end", 5000);
});
