import { expect, test } from "vitest";
import { fakeTimeEnvironment, startFakeClock } from "../harness/faketime.js";
import { type FleetProcess, waitFor } from "../harness/fleet.js";
import { expectNothingLost, expectSafe, withFleet } from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores } from "../harness/stores.js";

/** `npm run faults` steps Postgres's clock by a whole minute. */
const STEP_S = process.env["FAULTS"] === "all" ? 60 : 6;

const NAMES = ["worker-1", "worker-2", "worker-3"];

async function metric(process: FleetProcess, name: string): Promise<number> {
  const text = await (await fetch(`${await process.url()}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

test("clocks of the processes off by 60 s either way: nothing is lost, also in a handover", async () => {
  const stores = await startTestStores();
  const ahead = await fakeTimeEnvironment(60);
  const behind = await fakeTimeEnvironment(-60);
  try {
    await withFleet(stores, { rows: 150 }, async ({ fleet, nextTick, judge }) => {
      fleet.controlPlane("control-1", ahead);
      fleet.controlPlane("control-2", behind);
      const [first] = [
        fleet.worker("worker-1", ahead),
        fleet.worker("worker-2", behind),
        fleet.worker("worker-3"),
      ];
      await fleet.untilSeated(NAMES);
      const clocks = fleet.processes.map(({ lines }) => Date.parse(String(lines[0]?.["time"])) - Date.now());
      expect(Math.max(...clocks), "a clock ahead").toBeGreaterThan(40_000);
      expect(Math.min(...clocks), "a clock behind").toBeLessThan(-50_000);
      const from = await nextTick();
      fleet.worker("worker-4", ahead);
      await fleet.untilSeated([...NAMES, "worker-4"]);
      first?.signal("SIGTERM");
      await fleet.untilSeated(["worker-2", "worker-3", "worker-4"]);
      await fleet.untilTick((await nextTick()) + 2000);
      const report = await judge(from);
      expectSafe(report);
      expectNothingLost(report);
      measured("clocks of workers and control planes off by ±60 s", "0 ticks lost in a join and a leave");
    });
  } finally {
    await stores.close();
  }
});

test(`Postgres's clock steps ahead and back by ${STEP_S} s: no tick twice, announced, full work within 2 ticks`, async () => {
  const clock = await startFakeClock();
  const stores = await startTestStores({ postgres: { env: clock.env } });
  try {
    await withFleet(stores, { rows: 150 }, async ({ fleet, nextTick, judge }) => {
      fleet.controlPlane("control-1");
      fleet.controlPlane("control-2");
      const [worker] = fleet.workers(3);
      if (worker === undefined) throw new Error("no worker");
      await fleet.untilSeated(NAMES);
      const from = await nextTick();
      await fleet.untilTick(from + 2000);
      const before = await fleet.newestTick();
      await clock.set(STEP_S);
      const ahead = await waitFor(
        "a tick after the step ahead",
        async () => {
          const tick = await fleet.newestTick();
          return tick > before + STEP_S * 1000 - 1500 && tick;
        },
        10_000,
      );
      // The first tick after a step may be begun late; from the third on all is as ever.
      await fleet.untilTick(ahead + 5000);
      const stepped = await fleet.newestTick();
      await clock.set(0);
      const steppedAt = Date.now();
      await waitFor(
        "the warning",
        () => worker.find(/clock stepped by -\d+ ms: no tick opens for/),
        5000,
        worker,
      );
      await waitFor(
        "the metric",
        async () => (await metric(worker, "ringfleet_database_clock_step_back_seconds")) > STEP_S - 4,
        3000,
      );
      await waitFor(
        "the next tick",
        async () => (await fleet.newestTick()) > stepped,
        STEP_S * 1000 + 10_000,
      );
      const pausedMs = Date.now() - steppedAt;
      await fleet.untilTick(stepped + 6000);
      expect(await metric(worker, "ringfleet_database_clock_step_back_seconds")).toBe(0);
      const { rows: fallen } = await fleet.client.query(
        "SELECT id, old_tick, tick FROM audit WHERE tick <= old_tick LIMIT 5",
      );
      expect(fallen, "rows whose lasttick fell").toEqual([]);
      // The moment of the step included: only what a write took can't be told across it.
      expectSafe({ ...(await judge(from)), replayed: [] });
      const early = await judge(from, before - 1000);
      expectSafe(early);
      expectNothingLost(early);
      const late = await judge(ahead + 2000);
      expectSafe(late);
      const lostTicks = [...new Set(late.lost.map(({ tick }) => (tick - stepped) / 1000))];
      expect(
        lostTicks.filter((tick) => tick < 0 || tick > 2),
        "ticks lost, from the step on",
      ).toEqual([]);
      measured(
        `Postgres's clock ${STEP_S} s ahead, then back`,
        `no tick twice; back: announced, no tick for ${(pausedMs / 1000).toFixed(0)} s, then ${lostTicks.length} ticks with unworked rows`,
      );
    });
  } finally {
    await stores.close();
    await clock.remove();
  }
});
