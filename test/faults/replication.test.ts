import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { startRedis } from "../../cli/stores/redis-server.js";
import { judgeAudit } from "../harness/audit.js";
import { type Fleet, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startReplicatedPostgres } from "../harness/replicated-postgres.js";
import { query, untilWorked, withRedis } from "../harness/store-clients.js";
import { startTestStores } from "../harness/stores.js";
import { TcpProxy } from "../harness/tcp-proxy.js";

/** `npm run faults` runs everything, and more often. */
const ALL = process.env["FAULTS"] === "all";

/** What a client has seen committed, and so must never be lost. */
interface Seen {
  ring: number;
  tick: number;
}

async function seenBy(client: pg.Client): Promise<Seen> {
  const { rows } = await client.query<Seen>(
    `SELECT (SELECT max(version) FROM versions WHERE kind = 'ring')::int AS ring,
       (SELECT extract(epoch FROM max(tick)) * 1000 FROM ticks)::float8 AS tick`,
  );
  return rows[0] ?? { ring: 0, tick: 0 };
}

async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await query(serverUrl, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** A server and all its children. */
async function processGroup(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return [pid, ...children.split(" ").filter(Boolean).map(Number)];
}

async function startedFleet(fleet: Fleet): Promise<void> {
  fleet.controlPlane("control-1");
  fleet.controlPlane("control-2");
  fleet.workers(3);
  await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
}

test("Postgres: the synchronous standby is promoted: no published version and no sealed tick is lost", async () => {
  const stores = await startTestStores();
  const postgres = await startReplicatedPostgres();
  const link = await TcpProxy.start(postgres.primary.url);
  const onPostgres = {
    ...stores,
    createDatabase: (name: string) => createDatabase(postgres.primary.url, name),
  };
  try {
    const options = { rows: 120, loggedAudit: true, databaseLink: (url: string) => link.through(url) };
    await withFleet(onPostgres, options, async ({ fleet, databaseUrl, nextTick }) => {
      await startedFleet(fleet);
      const from = await nextTick();
      await fleet.untilTick(from);
      // The moment after a publish is when there is most to lose.
      fleet.worker("worker-4");
      const { ring } = await seenBy(fleet.client);
      let seen = await seenBy(fleet.client);
      while (seen.ring === ring) seen = await seenBy(fleet.client);
      await postgres.primary.kill("SIGKILL");
      const processes = fleet.running().length;
      await sleep(2000);
      const standbyUrl = new URL(databaseUrl);
      standbyUrl.port = String(postgres.standby.port);
      await postgres.promote();
      link.redirect(standbyUrl.href);
      const judge = new pg.Client({ connectionString: standbyUrl.href });
      await judge.connect();
      try {
        const tookMs = await untilWorked(judge, 15_000);
        const survived = await seenBy(judge);
        expect(survived.ring, "published views").toBeGreaterThanOrEqual(seen.ring);
        const { rows } = await judge.query("SELECT FROM ticks WHERE tick = to_timestamp($1)", [
          seen.tick / 1000,
        ]);
        expect(rows.length, "the newest tick that was seen sealed").toBe(1);
        measured(
          "Postgres killed, its synchronous standby promoted",
          `work resumed ${tookMs} ms after it took writes; no published version, no sealed tick lost`,
        );
        expect(tookMs).toBeLessThanOrEqual(5000);
        const resumed = (await seenBy(judge)).tick + 1000;
        await waitFor("some ticks more", async () => (await seenBy(judge)).tick >= resumed + 5000, 15_000);
        expect(fleet.running().length, "processes that still run").toBe(processes);
        expectSafe(await judgeAudit(judge, { from, to: resumed + 3000 }));
        const after = await judgeAudit(judge, { from: resumed, to: resumed + 3000 });
        expect(after.lost.length, "lost once it was back").toBe(0);
      } finally {
        await judge.end();
      }
    });
  } finally {
    await link.close();
    await postgres.close();
    await stores.close();
  }
});

test.runIf(ALL)(
  "commits stall because the synchronous standby is paused, also those of publishes: no tick mixes two versions",
  async () => {
    const stores = await startTestStores();
    const postgres = await startReplicatedPostgres();
    const onPostgres = {
      ...stores,
      createDatabase: (name: string) => createDatabase(postgres.primary.url, name),
    };
    try {
      await withFleet(onPostgres, { rows: 120 }, async ({ fleet, nextTick, judge }) => {
        await startedFleet(fleet);
        const from = await nextTick();
        const names = ["worker-1", "worker-2", "worker-3"];
        const rounds = 10;
        for (let round = 0; round < rounds; round++) {
          const name = `joiner-${round}`;
          const joiner = fleet.worker(name);
          await waitFor("the joiner to listen", () => joiner.find(/^listening/), 10_000, joiner);
          // Its view is published JOIN_SETTLE_MS after its second beat: into the pause.
          await sleep(900 + 150 * (round % 4));
          const standbyPids = await processGroup(postgres.standby.pid);
          for (const pid of standbyPids) process.kill(pid, "SIGSTOP");
          await sleep([400, 900, 1600, 3500][round % 4] ?? 900);
          for (const pid of standbyPids) process.kill(pid, "SIGCONT");
          names.push(name);
          await fleet.untilSeated(names);
        }
        const tookMs = await untilWorked(fleet.client, 5000);
        await fleet.untilTick((await nextTick()) + 1000);
        const report = await judge(from);
        expectSafe(report);
        expect(fleet.running().length).toBe(5 + rounds);
        measured(
          `commits stalled by a paused synchronous standby, ${rounds} times 0.4–3.5 s`,
          `no tick mixed two versions; all rows worked ${tookMs} ms after the last one`,
        );
      });
    } finally {
      await postgres.close();
      await stores.close();
    }
  },
);

test("a publish whose commit takes a second: no tick mixes two versions, none is lost", async () => {
  const stores = await startTestStores();
  try {
    await withFleet(stores, { rows: 120 }, async ({ fleet, nextTick, judge }) => {
      await startedFleet(fleet);
      await fleet.client.query(`
        CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(1.2); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON versions DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION stall()`);
      const from = await nextTick();
      const names = ["worker-1", "worker-2", "worker-3"];
      for (let round = 0; round < (ALL ? 3 : 1); round++) {
        fleet.worker(`joiner-${round}`);
        names.push(`joiner-${round}`);
        await fleet.untilSeated(names);
      }
      await fleet.untilTick((await nextTick()) + 1000);
      const { rows } = await fleet.client.query<{ late: number }>(
        `SELECT count(*)::int AS late FROM versions v WHERE kind = 'ring' AND EXISTS (
           SELECT FROM ticks WHERE tick >= v.activates_at AND ring < v.version)`,
      );
      const report = await judge(from);
      expectSafe(report);
      expectNothingLost(report);
      expect(rows[0]?.late, "views that became visible after their activation").toBeGreaterThan(0);
      measured("publish whose commit takes 1.2 s", "no tick mixed two versions, 0 ticks lost");
    });
  } finally {
    await stores.close();
  }
});

test("Redis: a replica with an old copy is promoted: dead workers stay dead, converged within 3 s", async () => {
  const stores = await startTestStores();
  const folder = stores.redis.logFile.replace(/redis\.log$/, "replica");
  const replica = await startRedis({ dir: folder, log: () => undefined });
  const link = await TcpProxy.start(stores.redisUrl);
  try {
    await withFleet(stores, { rows: 150, redisUrl: link.through(stores.redisUrl) }, async (fleetTest) => {
      const { fleet, nextTick, judge } = fleetTest;
      const replicating = (redis: { info(section: string): Promise<string> }) => redis.info("replication");
      await withRedis(replica.url, (redis) => redis.replicaof("127.0.0.1", stores.redis.port));
      await startedFleet(fleet);
      fleet.worker("worker-4");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-4"]);
      await waitFor(
        "the replica",
        async () => /master_link_status:up/.test(await withRedis(replica.url, replicating)),
        10_000,
      );
      // The copy ends here: it holds worker-4's heartbeats for ever.
      await withRedis(replica.url, (redis) => redis.replicaof("NO", "ONE"));
      fleet.processes.find(({ name }) => name === "worker-4")?.signal("SIGKILL");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
      await fleet.untilTick(await nextTick());
      const from = await nextTick();
      const views = (await fleet.ringVersions()).length;
      await stores.redis.stop();
      link.redirect(replica.url);
      const promotedAt = Date.now();
      const control = fleet.processes[0];
      await waitFor(
        "the leader to see the living",
        async () => {
          const answer = await fetch(`${await control?.url()}/v1/workers`);
          const { workers } = (await answer.json()) as { workers: { state: string; beatAgeMs: number }[] };
          const fresh = ({ state, beatAgeMs }: { state: string; beatAgeMs: number }) =>
            state === "seated" && beatAgeMs < Date.now() - promotedAt;
          return workers.filter(fresh).length === 3;
        },
        10_000,
      );
      const tookMs = Date.now() - promotedAt;
      await fleet.untilTick((await nextTick()) + 3000);
      expect((await fleet.ringVersions()).length, "ring changes").toBe(views);
      expect((await fleet.seated()).sort()).toEqual(["worker-1", "worker-2", "worker-3"]);
      // Membership works on the new one: a death and a newcomer are noticed.
      fleet.worker("worker-5");
      await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-5"]);
      const report = await judge(from);
      expectSafe(report);
      expectNothingLost(report);
      measured(
        "Redis: a replica with an old copy promoted",
        `0 ticks lost, 0 ring changes, the dead stay dead; heartbeats seen again after ${tookMs} ms`,
      );
      expect(tookMs).toBeLessThanOrEqual(3000);
    });
  } finally {
    await link.close();
    await replica.stop();
    await stores.close();
  }
});
