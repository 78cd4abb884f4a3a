import { setTimeout as sleep } from "node:timers/promises";
import type { FleetProcess } from "../harness/fleet.js";
import { withRedis } from "../harness/store-clients.js";
import type { Random } from "../simulation/random.js";
import type { SoakFleet } from "./soak-fleet.js";

interface Fault {
  name: string;
  /** At most 8 s; leaves the fleet whole. */
  run(soak: SoakFleet, random: Random): Promise<void>;
}

function pick(processes: readonly FleetProcess[], random: Random): FleetProcess {
  const chosen = processes[random.below(processes.length)];
  if (chosen === undefined) throw new Error("nobody to pick");
  return chosen;
}

async function replaceWorker(soak: SoakFleet, random: Random, signal: NodeJS.Signals): Promise<void> {
  const victim = pick(soak.workers, random);
  victim.signal(signal);
  await victim.exited;
  soak.workers = [...soak.workers.filter((worker) => worker !== victim), soak.startWorker()];
}

async function pause(pid: number, ms: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await sleep(ms);
  process.kill(pid, "SIGCONT");
}

export const FAULTS: readonly Fault[] = [
  { name: "worker killed", run: (soak, random) => replaceWorker(soak, random, "SIGKILL") },
  { name: "worker drained", run: (soak, random) => replaceWorker(soak, random, "SIGTERM") },
  { name: "worker stopped", run: (soak, random) => pause(pick(soak.workers, random).pid, 4000) },
  {
    name: "control plane killed",
    run: async (soak, random) => {
      const victim = pick(soak.controls, random);
      victim.signal("SIGKILL");
      await victim.exited;
      soak.controls = [...soak.controls.filter((control) => control !== victim), soak.startControl()];
    },
  },
  { name: "control plane stopped", run: (soak, random) => pause(pick(soak.controls, random).pid, 5000) },
  {
    name: "worker added",
    run: async (soak) => {
      soak.workers.push(soak.startWorker());
    },
  },
  {
    name: "worker removed",
    run: async (soak, random) => {
      if (soak.workers.length <= 2) return;
      const leaver = pick(soak.workers, random);
      soak.workers = soak.workers.filter((worker) => worker !== leaver);
      leaver.signal("SIGTERM");
      await leaver.exited;
    },
  },
  { name: "Redis emptied", run: (soak) => soak.stores.restartRedisEmpty() },
  {
    name: "Redis flushed",
    run: async (soak) => void (await withRedis(soak.stores.redisUrl, (redis) => redis.flushall())),
  },
  { name: "Redis stopped", run: (soak) => pause(soak.stores.redis.pid, 4000) },
  {
    name: "Postgres killed",
    run: async (soak) => {
      await soak.stores.killPostgres();
      await sleep(1000);
      await soak.stores.restartPostgres();
      await soak.connectJudge();
    },
  },
  {
    name: "sessions terminated",
    run: async (soak) => {
      await soak.judge.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ringfleet/%'",
      );
    },
  },
  {
    name: "links to Postgres cut",
    run: async (soak) => {
      soak.databaseLink.cut();
      await sleep(4000);
      soak.databaseLink.heal();
    },
  },
  {
    name: "links to Redis cut one way",
    run: async (soak, random) => {
      soak.redisLink.cut(random.next() < 0.5 ? "toServer" : "toClient");
      await sleep(4000);
      soak.redisLink.heal();
    },
  },
  {
    name: "links slow",
    run: async (soak) => {
      soak.redisLink.delay(300);
      soak.databaseLink.delay(100);
      await sleep(5000);
      soak.redisLink.heal();
      soak.databaseLink.heal();
    },
  },
];
