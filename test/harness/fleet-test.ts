import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Database } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { type Config, DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";
import { type AuditReport, gapsByRow, installAudit, judgeAudit } from "./audit.js";
import { ControlProbe } from "./control-probe.js";
import { Fleet } from "./fleet.js";
import type { TestStores } from "./stores.js";

let databases = 0;

export interface FleetTestOptions {
  rows?: number;
  config?: Partial<Config>;
  env?: Record<string, string>;
  /** The audit must survive a crash of Postgres. */
  loggedAudit?: boolean;
  /** The shortest tick of this test: the machine has to keep up with it (default 1000). */
  finestTickMs?: number;
  /** Links that lead elsewhere than straight to the stores. */
  redisUrl?: string;
  /** The URL by which the processes reach the database, made from the straight one. */
  databaseLink?: (url: string) => string;
}

/** Everything one test of a running fleet needs, in a database and under a Redis prefix of its own. */
export interface FleetTest {
  fleet: Fleet;
  probe: ControlProbe;
  databaseUrl: string;
  /** The next tick from now on that is judged: whole ticks only. */
  nextTick(): Promise<number>;
  /** Judges the ticks from `from` on up to the newest settled one, or `to`. */
  judge(from: number, to?: number): Promise<AuditReport>;
}

/** An empty database with the schema, an initial config and `rows` work items. */
export async function prepareDatabase(
  stores: TestStores,
  options: { rows?: number; config?: Partial<Config> } = {},
): Promise<string> {
  databases += 1;
  const url = await stores.createDatabase(`fleet_${process.pid}_${databases}`);
  await migrate({ url }, "public");
  const db = new Database({
    url,
    schema: "public",
    applicationName: "setup",
    poolSize: 1,
    statementTimeoutMs: 30_000,
  });
  const config = { ...DEFAULT_CONFIG, ...options.config };
  await insertInitialConfig(db, {
    digest: configDigest(config),
    body: config,
    createdBy: "test",
    reason: "initial",
  });
  await db.query("INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1)", [
    options.rows ?? 0,
  ]);
  await db.close();
  return url;
}

/** Runs `body` with a fleet that has no process yet, and leaves nothing behind. Failures name a file with all logs. */
export async function withFleet(
  stores: TestStores,
  options: FleetTestOptions,
  body: (test: FleetTest) => Promise<void>,
): Promise<void> {
  const databaseUrl = await prepareDatabase(stores, options);
  const linkedUrl = options.databaseLink?.(databaseUrl) ?? databaseUrl;
  const fleet = new Fleet({
    databaseUrl: linkedUrl,
    judgeUrl: databaseUrl,
    redisUrl: options.redisUrl ?? stores.redisUrl,
    env: { REDIS_KEY_PREFIX: `t${databases}:`, ...options.env },
  });
  await fleet.client.connect();
  await installAudit(fleet.client, { logged: options.loggedAudit === true });
  const finestTickMs = options.finestTickMs ?? 1000;
  const probe = await ControlProbe.start(databaseUrl, finestTickMs);
  try {
    await body({
      fleet,
      probe,
      databaseUrl,
      async nextTick() {
        return (await fleet.newestTick()) + 1000;
      },
      async judge(from, to) {
        const window = { from, to: to ?? (await fleet.newestTick()) - 2000 };
        const excused = await probe.missed(fleet.client, { ...window, tickMs: finestTickMs });
        const report = await judgeAudit(fleet.client, { ...window, excused });
        console.log(summaryOf(report, excused.size));
        return report;
      },
    });
  } catch (error) {
    throw new Error(`${String(error)}\nlogs: ${writeLogs(fleet)}`, { cause: error });
  } finally {
    await probe.stop();
    await fleet.close();
  }
}

/** S1, S2, S3, S6, S7: nothing doubled, no process but the owner, the sealed config's increment, no way back. */
export function expectSafe(report: AuditReport): void {
  expect(report.doubled.slice(0, 5), "S1: no row twice for one tick").toEqual([]);
  expect(report.foreign.slice(0, 5), "S2: only the owner under the sealed view").toEqual([]);
  expect(report.wrong.slice(0, 5), "S3: only what the sealed config says").toEqual([]);
  expect(report.regressed.slice(0, 5), "S6: sealed versions never go back").toEqual([]);
  expect(report.replayed.slice(0, 5), "no tick is worked off long after its time").toEqual([]);
}

/** S4: not one (row, tick) is lost, beyond what the machine itself missed, and that is at most 1%. */
export function expectNothingLost(report: AuditReport): void {
  expect(
    report.lost.slice(0, 5).map(({ id, tick }) => `${id} at ${new Date(tick).toISOString()}`),
    `S4: no tick lost (${report.lost.length} are)`,
  ).toEqual([]);
  expectMachineKeptUp(report);
}

/** The most ticks that one row lost, for a fault that may cost some. */
export function largestGap(report: AuditReport): number {
  expectMachineKeptUp(report);
  return Math.max(0, ...gapsByRow(report).values());
}

function expectMachineKeptUp(report: AuditReport): void {
  expect(report.excusedTicks, "ticks that the machine missed").toBeLessThanOrEqual(
    Math.max(1, Math.floor(report.ticks / 100)),
  );
}

function summaryOf(report: AuditReport, machineMissed: number): string {
  return (
    `audit: ${report.ticks} ticks, ${report.rows} rows, ${report.writes} writes, ${report.lost.length} lost, ` +
    `${report.doubled.length} doubled, ${report.foreign.length} foreign, ${report.wrong.length} wrong, ` +
    `${report.regressed.length} regressed, ${report.replayed.length} replayed, ` +
    `${report.excusedTicks} ticks excused (the machine missed ${machineMissed})`
  );
}

function writeLogs(fleet: Fleet): string {
  const folder = join(tmpdir(), `ringfleet-failed-${process.pid}-${databases}`);
  mkdirSync(folder, { recursive: true });
  for (const process of fleet.processes) {
    writeFileSync(join(folder, `${process.name}-${process.pid}.log`), process.raw.join("\n"));
  }
  return folder;
}
