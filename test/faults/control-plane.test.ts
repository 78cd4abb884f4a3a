import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, largestGap, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

/** `npm run faults` leaves the fleet without a control plane for the whole minute, and runs everything. */
const ALL = process.env["FAULTS"] === "all";
const GONE_MS = ALL ? 60_000 : 10_000;

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

interface Lease {
  holder: string;
  term: number;
}

async function lease(fleet: Fleet): Promise<Lease | null> {
  const { rows } = await fleet.client.query<Lease>(
    "SELECT holder, term::int FROM leadership WHERE expires_at > clock_timestamp()",
  );
  return rows[0] ?? null;
}

async function leaderOf(fleet: Fleet, replicas: readonly FleetProcess[]): Promise<FleetProcess> {
  const held = await waitFor("a leader", () => lease(fleet), 10_000);
  const leader = replicas.find((replica) => held.holder.startsWith(`${replica.name}/`));
  if (leader === undefined) throw new Error(`who is ${held.holder}?`);
  return leader;
}

async function untilNewTerm(fleet: Fleet, after: number): Promise<Lease> {
  return await waitFor(
    "a new term",
    async () => {
      const now = await lease(fleet);
      return now !== null && now.term > after ? now : null;
    },
    10_000,
  );
}

test("leader stopped for 10 s: a new term within 4 s; back, it publishes nothing under the old one", async () => {
  await withFleet(stores, { rows: 120 }, async ({ fleet, nextTick, judge }) => {
    const replicas = [fleet.controlPlane("control-1"), fleet.controlPlane("control-2")];
    fleet.workers(3);
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
    const from = await nextTick();
    const leader = await leaderOf(fleet, replicas);
    const before = await lease(fleet);
    leader.signal("SIGSTOP");
    const stoppedAt = Date.now();
    const next = await untilNewTerm(fleet, before?.term ?? 0);
    const tookMs = Date.now() - stoppedAt;
    expect(tookMs).toBeLessThanOrEqual(4000);
    await sleep(Math.max(0, 10_000 - (Date.now() - stoppedAt)));
    leader.signal("SIGCONT");
    fleet.worker("worker-4");
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-4"]);
    const { rows } = await fleet.client.query<{ by: string }>(
      "SELECT created_by AS by FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1",
    );
    expect(rows[0]?.by).toBe(next.holder);
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    measured("leader stopped for 10 s (SIGSTOP)", `a new term after ${tookMs} ms, 0 ticks lost`);
  });
});

test(`no control plane for ${GONE_MS / 1000} s: no tick lost; back, a newcomer is seated within 3 s of its settling`, async () => {
  await withFleet(stores, { rows: 120 }, async ({ fleet, nextTick, judge }) => {
    const replicas = [fleet.controlPlane("control-1"), fleet.controlPlane("control-2")];
    fleet.workers(3);
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
    const from = await nextTick();
    for (const replica of replicas) replica.signal("SIGKILL");
    fleet.worker("worker-4");
    await sleep(GONE_MS);
    const views = (await fleet.ringVersions()).length;
    const again = fleet.controlPlane("control-3");
    await again.url();
    const startedAt = Date.now();
    await waitFor(
      "the newcomer's view",
      async () => (await fleet.ringVersions()).length > views,
      10_000,
      again,
    );
    const tookMs = Date.now() - startedAt;
    expect(tookMs).toBeLessThanOrEqual(3000);
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3", "worker-4"]);
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    measured(
      `no control plane for ${GONE_MS / 1000} s`,
      `0 ticks lost; a waiting newcomer's view ${tookMs} ms after it was back`,
    );
  });
});

test.runIf(ALL)("leader and a worker killed together: a gap of 8 ticks at most", async () => {
  await withFleet(stores, { rows: 120 }, async ({ fleet, nextTick, judge }) => {
    const replicas = [fleet.controlPlane("control-1"), fleet.controlPlane("control-2")];
    const [victim] = fleet.workers(3);
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
    const from = await nextTick();
    const leader = await leaderOf(fleet, replicas);
    await sleep(500);
    leader.signal("SIGKILL");
    victim?.signal("SIGKILL");
    await fleet.untilSeated(["worker-2", "worker-3"]);
    await fleet.untilTick((await nextTick()) + 1000);
    const report = await judge(from);
    expectSafe(report);
    const gap = largestGap(report);
    measured("leader and a worker killed together", `${gap} ticks unworked`);
    expect(gap).toBeLessThanOrEqual(8);
  });
});
