import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { judgeAudit } from "../harness/audit.js";
import { type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectSafe, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { withRedis } from "../harness/store-clients.js";
import { startTestStores } from "../harness/stores.js";
import { Random } from "../simulation/random.js";
import { FAULTS } from "./random-faults.js";
import { SoakFleet } from "./soak-fleet.js";

const MINUTES = Number(process.env["SOAK_MINUTES"] ?? 20);
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const FAULT_EVERY_MS = 10_000;

interface Footprint {
  at: number;
  mebibytes: number;
  sockets: number;
}

async function footprintOf(process: FleetProcess): Promise<Footprint> {
  const status = await readFile(`/proc/${process.pid}/status`, "utf8");
  const descriptors = await readdir(`/proc/${process.pid}/fd`);
  const targets = await Promise.all(
    descriptors.map((fd) => readlink(`/proc/${process.pid}/fd/${fd}`).catch(() => "")),
  );
  return {
    at: Date.now(),
    mebibytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    sockets: targets.filter((target) => target.startsWith("socket:")).length,
  };
}

/** Least squares over the second half, when caches have filled. MiB a minute. */
function slope(samples: readonly Footprint[]): number {
  const half = samples.slice(Math.floor(samples.length / 2));
  const mean = (pick: (sample: Footprint) => number) =>
    half.reduce((sum, s) => sum + pick(s), 0) / half.length;
  const at = mean((s) => s.at);
  const size = mean((s) => s.mebibytes);
  const covariance = half.reduce((sum, s) => sum + (s.at - at) * (s.mebibytes - size), 0);
  const variance = half.reduce((sum, s) => sum + (s.at - at) ** 2, 0);
  return (covariance / variance) * 60_000;
}

test(
  `soak: ${MINUTES} minutes with a random fault every 10 s`,
  async () => {
    console.log(`Rerun: SEED=${SEED} npm run soak`);
    const random = new Random(SEED);
    const stores = await startTestStores();
    const soak = await SoakFleet.link(stores);
    try {
      await withFleet(stores, { rows: 1000, loggedAudit: true }, async (fleetTest) => {
        await soak.start(fleetTest);
        // Two that no fault kills: what they leak, they keep.
        const witnesses = [soak.witnessWorker, soak.witnessControl];
        const connections = async () => {
          const { rows } = await soak.judge.query<{ n: number }>(
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'ringfleet/%'",
          );
          return rows[0]?.n ?? 0;
        };
        const redisClients = async () =>
          ((await withRedis(stores.redisUrl, (redis) => redis.client("LIST"))) as string).trim().split("\n")
            .length;
        const baseline = {
          postgres: await connections(),
          redis: await redisClients(),
          sockets: await Promise.all(witnesses.map(async (w) => (await footprintOf(w)).sockets)),
        };
        const samples: Footprint[][] = [[], []];
        const counts = new Map<string, number>();
        let judged = await fleetTest.nextTick();
        let ticks = 0;
        const judgeUpTo = async (newest: number) => {
          const report = await judgeAudit(soak.judge, { from: judged, to: newest - 2000 });
          expectSafe(report);
          ticks += report.ticks;
          judged = newest - 1000;
          await soak.judge.query("DELETE FROM audit WHERE tick < to_timestamp($1)", [judged / 1000]);
          const everybody = [...witnesses, ...soak.workers, ...soak.controls];
          const alone = everybody.filter((each) => each.hasExited).map(({ name }) => name);
          expect(alone, "processes that ended by themselves").toEqual([]);
        };
        const endsAt = Date.now() + MINUTES * 60_000;
        while (Date.now() < endsAt) {
          const fault = FAULTS[random.below(FAULTS.length)];
          if (fault === undefined) throw new Error("no fault");
          counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
          const startedAt = Date.now();
          console.log(`${new Date().toISOString()} ${fault.name}`);
          await fault.run(soak, random);
          await sleep(Math.max(0, FAULT_EVERY_MS - (Date.now() - startedAt)));
          for (const [index, witness] of witnesses.entries())
            samples[index]?.push(await footprintOf(witness));
          const newest = await soak.untilWorking();
          if (newest - judged >= 60_000) await judgeUpTo(newest);
        }
        await judgeUpTo(await soak.untilWorking());
        const slopes = samples.map(slope);
        await waitFor(
          "connections back at the baseline",
          async () => (await connections()) <= baseline.postgres + 2,
          60_000,
        );
        await waitFor(
          "Redis clients back at the baseline",
          async () => (await redisClients()) <= baseline.redis + 2,
          60_000,
        );
        const sockets = await Promise.all(witnesses.map(async (w) => (await footprintOf(w)).sockets));
        const faults = [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
        measured(
          `soak, ${MINUTES} min, seed ${SEED}`,
          `${ticks} ticks judged, 0 safety violations; memory slope worker ${slopes[0]?.toFixed(2)}, control plane ` +
            `${slopes[1]?.toFixed(2)} MiB/min; sockets ${baseline.sockets.join(" and ")} before, ${sockets.join(" and ")} after ` +
            `(${faults})`,
        );
        // Shorter runs end while the heap still fills.
        if (MINUTES >= 15) expect(Math.max(...slopes), "MiB a minute").toBeLessThanOrEqual(0.5);
        for (const [index, count] of sockets.entries()) {
          expect(count).toBeLessThanOrEqual((baseline.sockets[index] ?? 0) + 2);
        }
      });
    } finally {
      await soak.close();
      await stores.close();
    }
  },
  (MINUTES + 5) * 60_000,
);
