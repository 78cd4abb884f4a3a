import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gapsByRow } from "../harness/audit.js";
import { expectedOwners } from "../harness/expected-owners.js";
import { type FleetProcess, waitFor } from "../harness/fleet.js";
import {
  expectNothingLost,
  expectSafe,
  type FleetTest,
  largestGap,
  withFleet,
} from "../harness/fleet-test.js";
import { measured } from "../harness/measured.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

/** `npm run faults` runs everything, and for longer; in `npm test` other tests stand for some of it. */
const ALL = process.env["FAULTS"] === "all";
const OVERRUN_MS = ALL ? 20_000 : 8000;

const NAMES = ["worker-1", "worker-2", "worker-3"];
/** A row that raises is tried again every 10 s: it is back a tick later at most. */
const RETRIED_MS = 11_000;
const CONTENDED = "ringfleet_contended_chunks_total";

/** A fleet of 3 workers, of which the first is about to suffer. */
async function startFleet(test: FleetTest, env: Record<string, string> = {}): Promise<FleetProcess> {
  test.fleet.controlPlane("control-1");
  test.fleet.controlPlane("control-2");
  const [victim] = test.fleet.workers(3, "worker-", env);
  await test.fleet.untilSeated(NAMES);
  if (victim === undefined) throw new Error("no worker");
  return victim;
}

async function metric(worker: FleetProcess, name: string): Promise<number> {
  const text = await (await fetch(`${await worker.url()}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

test("SIGSTOP for 10 s, then CONT: 3 ticks at most, nothing stale is written, back within 3 s", async () => {
  await withFleet(stores, { rows: 150 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    const victim = await startFleet(fleetTest);
    const from = await nextTick();
    await sleep(300);
    victim.signal("SIGSTOP");
    await fleet.untilSeated(["worker-2", "worker-3"]);
    await sleep(10_000 - 1000);
    const stopped = await nextTick();
    victim.signal("SIGCONT");
    const continuedAt = Date.now();
    await waitFor("its seat", async () => (await fleet.seated()).length === NAMES.length, 20_000, victim);
    const backMs = Date.now() - continuedAt;
    await fleet.untilSeated(NAMES);
    const workingMs = Date.now() - continuedAt;
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    expectSafe(report);
    measured(
      "worker stopped for 10 s (SIGSTOP), then continued",
      `${largestGap(report)} ticks unworked, seated again after ${backMs} ms, at work after ${workingMs} ms`,
    );
    expect(largestGap(report)).toBeLessThanOrEqual(3);
    expect(report.lost.filter(({ tick }) => tick >= stopped)).toEqual([]);
    expect(backMs).toBeLessThanOrEqual(3000);
    // A tick is the longest that a view waits until it is sealed.
    expect(workingMs).toBeLessThanOrEqual(4000);
  });
});

test("an event loop blocked for 5 s: /livez fails meanwhile, the same gap, no stale write", async () => {
  await withFleet(stores, { rows: 150 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    const blocker = fileURLToPath(new URL("../harness/block-event-loop.mjs", import.meta.url));
    const victim = await startFleet(fleetTest, { NODE_OPTIONS: `--import ${blocker}`, BLOCK_MS: "5000" });
    const url = await victim.url();
    const from = await nextTick();
    await sleep(300);
    victim.signal("SIGUSR2");
    await sleep(500);
    await expect(fetch(`${url}/livez`, { signal: AbortSignal.timeout(1000) })).rejects.toThrow();
    await fleet.untilSeated(["worker-2", "worker-3"]);
    await waitFor("liveness", async () => (await fetch(`${url}/livez`)).ok, 8000, victim);
    await fleet.untilSeated(NAMES);
    await fleet.untilTick(await nextTick());
    const report = await judge(from);
    measured(
      "worker's event loop blocked for 5 s",
      `${largestGap(report)} ticks unworked; /livez failed meanwhile`,
    );
    expectSafe(report);
    expect(largestGap(report)).toBeLessThanOrEqual(3);
  });
});

test.runIf(ALL)("SIGTERM: nothing is lost, gone within 3 s", async () => {
  await withFleet(stores, { rows: 150 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    const victim = await startFleet(fleetTest);
    const from = await nextTick();
    victim.signal("SIGTERM");
    const signalledAt = Date.now();
    expect(await victim.exited).toEqual({ code: 0, signal: null });
    const goneMs = Date.now() - signalledAt;
    expect(await fleet.seated()).toEqual(expect.not.arrayContaining([victim.name]));
    await fleet.untilTick((await nextTick()) + 1000);
    const report = await judge(from);
    expectSafe(report);
    expectNothingLost(report);
    measured("worker told to stop (SIGTERM)", `0 ticks lost, gone after ${goneMs} ms`);
    expect(goneMs).toBeLessThanOrEqual(3000);
  });
});

test.runIf(ALL)(
  "killed and started again under its name within 1 s: it takes its own seat, nothing is doubled",
  async () => {
    await withFleet(stores, { rows: 150 }, async (fleetTest) => {
      const { fleet, nextTick, judge } = fleetTest;
      const victim = await startFleet(fleetTest);
      const owners = expectedOwners((await fleet.ringVersions()).at(-1)?.body as never);
      const from = await nextTick();
      await sleep(300);
      victim.signal("SIGKILL");
      await victim.exited;
      await sleep(300);
      const again = fleet.worker(victim.name);
      await waitFor("its seat", () => again.find(/took a seat/), 10_000, again);
      await fleet.untilTick((await nextTick()) + 1000);
      expect(expectedOwners((await fleet.ringVersions()).at(-1)?.body as never), "slots moved").toEqual(
        owners,
      );
      const report = await judge(from);
      expectSafe(report);
      measured(
        "worker killed and started again under its name within 1 s",
        `${largestGap(report)} ticks unworked, 0 slots moved`,
      );
      expect(largestGap(report)).toBeLessThanOrEqual(3);
    });
  },
);

test("a slice that takes longer than a tick: no overlap, overruns counted, no tail starves, bounded memory", async () => {
  await withFleet(stores, { rows: 20_000 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    fleet.controlPlane("control-1");
    const worker = fleet.worker("worker-1");
    await fleet.untilSeated(["worker-1"]);
    // Each statement takes 0.5 s, and a slice of 20,000 rows is at least 4 of them.
    await fleet.client.query(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
      CREATE TRIGGER slow BEFORE UPDATE ON work_items FOR EACH STATEMENT EXECUTE FUNCTION slow()`);
    const from = await nextTick();
    const late = () => metric(worker, 'ringfleet_ticks_total{result="late"}');
    const lateBefore = await late();
    await fleet.untilTick(from + OVERRUN_MS);
    const { rows: overlaps } = await fleet.client.query(
      `SELECT tick FROM (SELECT tick, min(at) AS first, max(at) AS last FROM audit
         WHERE tick >= to_timestamp($1) GROUP BY tick) t
       WHERE EXISTS (SELECT FROM audit b WHERE b.tick > t.tick AND b.at < t.last)`,
      [from / 1000],
    );
    expect(overlaps, "ticks that another one overtook").toEqual([]);
    expectSafe(await judge(from));
    const { rows: ages } = await fleet.client.query<{ oldest: number }>(
      "SELECT (extract(epoch FROM clock_timestamp() - min(lasttick)))::float8 AS oldest FROM work_items",
    );
    const counted = (await late()) - lateBefore;
    const status = await readFile(`/proc/${worker.pid}/status`, "utf8");
    const peakMiB = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
    measured(
      "slice that takes longer than a tick",
      `0 overlaps, ${counted} overruns counted in ${OVERRUN_MS / 1000} s, oldest row ${ages[0]?.oldest.toFixed(1)} s, peak memory ${peakMiB} MiB`,
    );
    expect(counted).toBeGreaterThanOrEqual(5);
    expect(ages[0]?.oldest, "the row that waited longest").toBeLessThanOrEqual(10);
    expect(peakMiB).toBeLessThanOrEqual(256);
  });
});

test("a poison row and a row locked by somebody's session cost themselves only", async () => {
  await withFleet(stores, { rows: 300 }, async (fleetTest) => {
    const { fleet, nextTick, judge } = fleetTest;
    await startFleet(fleetTest);
    const workers = () => fleet.processes.filter(({ name }) => NAMES.includes(name));
    const { rows } = await fleet.client.query<{ id: string }>(
      "SELECT id::text AS id FROM work_items ORDER BY md5(id::text) LIMIT 2",
    );
    const [poison, locked] = rows.map((row) => row.id);
    if (poison === undefined || locked === undefined) throw new Error("no rows");
    const from = await nextTick();
    await fleet.client.query(
      `ALTER TABLE work_items ADD CONSTRAINT poison CHECK (id <> '${poison}' OR value < 0) NOT VALID`,
    );
    await fleet.client.query("BEGIN");
    await fleet.client.query("SELECT FROM work_items WHERE id = $1 FOR UPDATE", [locked]);
    await sleep(5000);
    await fleet.client.query("COMMIT");
    await waitFor(
      "a word about the poison row",
      () =>
        fleet.processes.some((process) => process.find(new RegExp(`row ${poison} is left out: .*poison`))),
      5000,
    );
    const contended = await Promise.all(workers().map((worker) => metric(worker, CONTENDED)));
    expect(Math.max(...contended), "the locked row is reported").toBeGreaterThan(0);
    await fleet.client.query("ALTER TABLE work_items DROP CONSTRAINT poison");
    const freed = await nextTick();
    await fleet.untilTick(freed + RETRIED_MS + 3000);
    const report = await judge(from);
    expectSafe(report);
    const gaps = gapsByRow(report);
    const bystanders = [...gaps].filter(([id]) => id !== poison && id !== locked);
    const bystanderGap = Math.max(0, ...bystanders.map(([, gap]) => gap));
    expect(bystanderGap, "ticks that other rows lost").toBeLessThanOrEqual(1);
    measured("poison row, and a row locked for 5 s", `other rows lost ${bystanderGap} ticks at most`);
    expect(gaps.get(poison), "the poison row was left out").toBeGreaterThanOrEqual(4);
    expect(gaps.get(locked), "the locked row was left out").toBeGreaterThanOrEqual(3);
    const lateLoss = report.lost.filter(({ id, tick }) => id === poison && tick > freed + RETRIED_MS);
    expect(lateLoss, "the poison row works again").toEqual([]);
    expect(report.lost.filter(({ id, tick }) => id === locked && tick >= freed)).toEqual([]);
  });
});
