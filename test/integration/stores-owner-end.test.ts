import { chmod, lstat, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startPostgres } from "../../cli/stores/postgres-server.js";
import { findRunningProcess } from "../../cli/stores/running-process.js";
import { findProcesses, waitUntilGone } from "../harness/processes.js";
import { query, withRedis } from "../harness/store-clients.js";
import { makeStoreCheckout, runStoreOwner } from "../harness/store-owner.js";

let folder: string;
let cleanups: (() => Promise<unknown>)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ringfleet-test-"));
  cleanups = [() => rm(folder, { recursive: true, force: true })];
});

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

describe("an owner's end", () => {
  async function startOwner() {
    const checkout = join(folder, "checkout");
    const dir = join(folder, "data");
    // Else the data of root's Postgres would not stay in this folder.
    await chmod(folder, 0o755);
    await makeStoreCheckout(checkout);
    const { owner, stores } = await runStoreOwner(checkout, dir);
    // Where a test failed the servers may still be there; a failed test leaves nothing behind either.
    cleanups.push(async () => {
      owner.kill("SIGKILL");
      for (const pid of [stores.postgres.pid, stores.redis.pid]) {
        const command = (await findRunningProcess(pid))?.command ?? "";
        if (/postgres|redis|valkey/.test(command)) process.kill(pid, "SIGQUIT");
      }
      await waitUntilGone([stores.postgres.pid, stores.redis.pid], 10_000);
    });
    expect(stores.postgres.dataPlace).toBe(join(dir, "postgres"));
    return { owner, stores, dir };
  }

  it("by kill -9 ends its Postgres and its Redis, and nothing is left of either", async () => {
    const { owner, stores } = await startOwner();
    const session = new pg.Client({ connectionString: stores.postgres.url });
    session.on("error", () => {});
    await session.connect();
    owner.kill("SIGKILL");
    await waitUntilGone([stores.postgres.pid, stores.redis.pid], 5_000);
    // Their own watchdogs only: other runs side by side have theirs.
    for (const { pid } of [stores.postgres, stores.redis]) {
      await waitUntilGone(await findProcesses(`ringfleet-watchdog ${pid} `), 5_000);
    }
    expect(await findProcesses(stores.postgres.dataPlace)).toEqual([]);
    // A fast stop, not a crash: Postgres removed its lock file.
    await expect(lstat(join(stores.postgres.dataPlace, "postmaster.pid"))).rejects.toThrow("ENOENT");
  });

  it("by kill -9 together with the watchdog leaves a Postgres that the next start stops", async () => {
    const { owner, stores, dir } = await startOwner();
    await query(stores.postgres.url, "CREATE TABLE kept AS SELECT 7 AS value");
    for (const pid of await findProcesses(`ringfleet-watchdog ${stores.postgres.pid} `))
      process.kill(pid, "SIGKILL");
    owner.kill("SIGKILL");
    await waitUntilGone([stores.redis.pid], 5_000);
    expect(await query(stores.postgres.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    const next = await startPostgres({ dataDir: join(dir, "postgres"), durable: false, log: () => {} });
    cleanups.push(() => next.stop("immediate"));
    expect(await query(next.url, "SELECT value FROM kept")).toEqual([{ value: 7 }]);
    await waitUntilGone([stores.postgres.pid], 0);
  });

  it("is not brought about by the terminal's Ctrl-C: the servers don't get it", async () => {
    const { owner, stores } = await startOwner();
    process.kill(-(owner.pid as number), "SIGINT");
    const ended = new Promise((resolve) => owner.once("exit", resolve));
    // Whoever was going to stop on SIGINT has had it by the time a later SIGINT was answered.
    await Promise.race([ended, sleep(500)]);
    expect(await query(stores.postgres.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(await withRedis(stores.redis.url, (client) => client.ping())).toBe("PONG");
    owner.kill("SIGTERM");
    await ended;
    await waitUntilGone([stores.postgres.pid, stores.redis.pid], 0);
  });
});
