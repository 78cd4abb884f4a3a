import { once } from "node:events";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findFreePort } from "../../cli/stores/free-port.js";
import { findBlockedFolders } from "../../cli/stores/postgres-account.js";
import { startPostgres } from "../../cli/stores/postgres-server.js";
import { ensureRedisServer } from "../../cli/stores/redis-install.js";
import { startRedis } from "../../cli/stores/redis-server.js";
import { findRunningProcess } from "../../cli/stores/running-process.js";
import {
  DataFolderInUseError,
  PortTakenError,
  RedisMissingError,
  StoreStartError,
} from "../../cli/stores/store-errors.js";
import { findProcesses, waitUntilGone } from "../harness/processes.js";
import { query, withRedis } from "../harness/store-clients.js";
import { makeStoreCheckout, makeStoreCheckoutWithPostgres, runStoreOwner } from "../harness/store-owner.js";
import { startTestStores } from "../harness/stores.js";

const isRoot = process.geteuid?.() === 0;
const NOBODY = { name: "nobody", uid: 65534, gid: 65534 };
// From a checkout below root's home nobody else can run anything, so there is no such case to test.
const nobodyCanRun =
  isRoot && (await findBlockedFolders(fileURLToPath(import.meta.url), NOBODY)).length === 0;

let folder: string;
let cleanups: (() => Promise<unknown>)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ringfleet-test-"));
  cleanups = [() => rm(folder, { recursive: true, force: true })];
});

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function startIn(dataDir: string, options: { port?: number; settings?: Record<string, string> } = {}) {
  const postgres = await startPostgres({ dataDir, durable: false, log: () => {}, ...options });
  cleanups.push(() => postgres.stop("immediate"));
  expect(postgres.dataPlace).toBe(dataDir);
  return postgres;
}

async function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

describe("the test stores", () => {
  it("start, answer, give each test a database, and leave nothing behind", async () => {
    const stores = await startTestStores();
    const { postgres, redis } = stores;
    const own = await stores.createDatabase("a database's name");
    expect(await query(own, "SELECT current_database() AS name")).toEqual([{ name: "a database's name" }]);
    expect(await query(own, "SHOW fsync")).toEqual([{ fsync: "off" }]);
    await stores.dropDatabase("a database's name");
    expect(await withRedis(stores.redisUrl, (client) => client.ping())).toBe("PONG");
    await stores.close();
    await waitUntilGone([postgres.pid, redis.pid], 0);
    expect(await findProcesses(postgres.dataPlace)).toEqual([]);
    expect(await findProcesses(`ringfleet-watchdog ${postgres.pid} `)).toEqual([]);
    expect(await findProcesses(`ringfleet-watchdog ${redis.pid} `)).toEqual([]);
    expect([await isPortFree(postgres.port), await isPortFree(redis.port)]).toEqual([true, true]);
    await expect(lstat(postgres.logFile)).rejects.toThrow("ENOENT");
  });

  it("run side by side, and come back on their ports after a crash", async () => {
    const both = await Promise.all([startTestStores({ durable: true }), startTestStores()]);
    const [stores, others] = both;
    cleanups.push(...both.map((each) => () => each.close()));
    expect(await query(stores.databaseUrl, "SHOW fsync")).toEqual([{ fsync: "on" }]);
    await query(stores.databaseUrl, "CREATE TABLE kept AS SELECT 7 AS value");
    await withRedis(stores.redisUrl, (client) => client.set("lost", "1"));
    await withRedis(others.redisUrl, (client) => client.set("kept", "1"));
    const firstPid = stores.postgres.pid;
    const { exited } = stores.postgres;
    await Promise.all([stores.killPostgres(), stores.restartRedisEmpty()]);
    expect(await exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(await findProcesses(stores.postgres.dataPlace)).toEqual([]);
    await stores.restartPostgres();
    expect(stores.postgres.pid).not.toBe(firstPid);
    expect(await query(stores.databaseUrl, "SELECT value FROM kept")).toEqual([{ value: 7 }]);
    expect(await withRedis(stores.redisUrl, (client) => client.dbsize())).toBe(0);
    expect(await withRedis(others.redisUrl, (client) => client.dbsize())).toBe(1);
  });

  it("remove the shared memory of a Postgres that was killed", async () => {
    const stores = await startTestStores();
    const lock = await readFile(join(stores.postgres.dataPlace, "postmaster.pid"), "utf8");
    const segment = lock.split("\n")[6]?.trim().split(/\s+/)[1];
    const listSegments = async () =>
      (await readFile("/proc/sysvipc/shm", "utf8")).split("\n").map((line) => line.trim().split(/\s+/)[1]);
    expect(await listSegments()).toContain(segment);
    await stores.killPostgres();
    await stores.close();
    expect(await listSegments()).not.toContain(segment);
  });
});

describe("startPostgres", () => {
  it("keeps its data and its password over a stop, with max_connections 300 on loopback only", async () => {
    const dataDir = join(folder, "new", "postgres");
    const first = await startIn(dataDir);
    expect((await stat(join(first.dataPlace, "ringfleet.password"))).mode & 0o777).toBe(0o600);
    expect(
      await query(
        first.url,
        "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'max_connections', 'unix_socket_directories', 'fsync') ORDER BY name",
      ),
    ).toEqual([
      { name: "fsync", setting: "off" },
      { name: "listen_addresses", setting: "127.0.0.1" },
      { name: "max_connections", setting: "300" },
      { name: "unix_socket_directories", setting: "" },
    ]);
    await query(first.url, "CREATE TABLE kept AS SELECT 7 AS value");
    await first.stop();
    await first.stop();
    const second = await startIn(dataDir, { port: first.port });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, "SELECT value FROM kept")).toEqual([{ value: 7 }]);
    const stranger = new URL(second.url);
    stranger.password = "wrong";
    await expect(query(stranger.href, "SELECT 1")).rejects.toThrow("password authentication failed");
  });

  it("recovers from an initdb that was killed half-way", async () => {
    const dataDir = join(folder, "postgres");
    // No process has this pid: it is above what the kernel gives out.
    const draft = `${dataDir}.draft-4194999`;
    await mkdir(draft);
    await writeFile(join(draft, "PG_VERSION"), "18\n");
    await writeFile(`${draft}.password`, "secret\n");
    await mkdir(dataDir);
    const postgres = await startIn(dataDir);
    expect(await query(postgres.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect((await readdir(folder)).sort()).toEqual(["postgres", "postgres.log"]);
  });

  it("names a taken port, a bad setting with the log's words, and data of another version", async () => {
    const dataDir = join(folder, "postgres");
    const first = await startIn(dataDir);
    await expect(startIn(join(folder, "second"), { port: first.port })).rejects.toThrow(PortTakenError);
    await first.stop();
    const wrong = startIn(dataDir, { settings: { work_mem: "plenty" } });
    await expect(wrong).rejects.toThrow(StoreStartError);
    await expect(wrong).rejects.toThrow('invalid value for parameter "work_mem": "plenty"');
    await writeFile(join(dataDir, "PG_VERSION"), "9\n");
    await expect(startIn(dataDir)).rejects.toThrow("holds data of Postgres 9, and this is Postgres");
  });

  it("refuses data on which another ringfleet's Postgres runs", async () => {
    const dataDir = join(folder, "postgres");
    const first = await startIn(dataDir);
    const second = startIn(dataDir);
    await expect(second).rejects.toThrow(DataFolderInUseError);
    await expect(second).rejects.toThrow(`another ringfleet up runs here (pid ${process.pid})`);
    expect(await query(first.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("starts although the stale lock file names a live process that is no Postgres", async () => {
    const dataDir = join(folder, "postgres");
    const first = await startIn(dataDir);
    const lockFile = join(dataDir, "postmaster.pid");
    const lock = await readFile(lockFile, "utf8");
    await first.stop();
    await writeFile(lockFile, lock.replace(/^\d+/, String(process.pid)));
    await chmod(lockFile, 0o644);
    const second = await startIn(dataDir);
    expect(await query(second.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it.runIf(isRoot)("runs for root from a checkout below a folder that only root may enter", async () => {
    const version = `0.0.0-test-${process.pid}`;
    // Not in the temporary folder, below which Postgres's user is let in.
    const home = await mkdtemp("/var/tmp/ringfleet-home-");
    cleanups.push(() => rm(home, { recursive: true, force: true }));
    const binaries = `/var/lib/ringfleet/postgres-${version}`;
    await makeStoreCheckoutWithPostgres(home, version);
    cleanups.push(() => rm(binaries, { recursive: true, force: true }));
    const wanted = join(home, ".ringfleet", "postgres");
    const run = async (sql: string) => {
      const { owner, stores } = await runStoreOwner(home, join(home, ".ringfleet"));
      cleanups.push(() => rm(stores.postgres.dataPlace, { recursive: true, force: true }));
      const rows = await query(stores.postgres.url, sql);
      expect((await findRunningProcess(stores.postgres.pid))?.command).toContain(binaries);
      owner.kill("SIGTERM");
      await once(owner, "exit");
      return { rows, place: stores.postgres.dataPlace };
    };
    const first = await run("CREATE TABLE kept AS SELECT 7 AS value");
    expect(await readlink(wanted)).toBe(first.place);
    expect(first.place).toMatch(/^\/var\/lib\/ringfleet\/data-/);
    expect((await run("SELECT value FROM kept")).rows).toEqual([{ value: 7 }]);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    // Without its .ringfleet the checkout starts afresh; the old data is set aside.
    await rm(join(home, ".ringfleet"), { recursive: true });
    cleanups.push(() => rm(`${first.place}.old`, { recursive: true, force: true }));
    const fresh = await run("SELECT to_regclass('kept') AS kept");
    expect(fresh).toEqual({ rows: [{ kept: null }], place: first.place });
    expect(await readdir(`${first.place}.old`)).toContain("PG_VERSION");
  });

  it.runIf(nobodyCanRun)("runs as an ordinary user, who can't start on another user's data", async () => {
    await chmod(folder, 0o755);
    const checkout = join(folder, "checkout");
    await makeStoreCheckout(checkout);
    const dir = join(folder, "nobodys");
    await mkdir(dir);
    await chown(dir, NOBODY.uid, NOBODY.gid);
    const { owner, stores } = await runStoreOwner(checkout, dir, NOBODY);
    expect(stores.postgres.dataPlace).toBe(join(dir, "postgres"));
    expect((await stat(`/proc/${stores.postgres.pid}`)).uid).toBe(NOBODY.uid);
    expect(await query(stores.postgres.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    owner.kill("SIGTERM");
    await once(owner, "exit");
    await waitUntilGone([stores.postgres.pid, stores.redis.pid], 0);
    // Root then goes on with the ordinary user's data, as that user.
    const asRoot = await startIn(join(dir, "postgres"));
    expect((await stat(`/proc/${asRoot.pid}`)).uid).toBe(NOBODY.uid);
    await asRoot.stop();
    // And that user with what root left.
    const again = await runStoreOwner(checkout, dir, NOBODY);
    again.owner.kill("SIGTERM");
    await once(again.owner, "exit");
    await chown(join(dir, "postgres"), 1, 1);
    await expect(runStoreOwner(checkout, dir, NOBODY)).rejects.toThrow("belongs to user number 1");
  });
});

describe("startRedis", () => {
  it("names a taken port, and a bad argument with the log's words", async () => {
    const blocker = createServer().listen(await findFreePort(), "127.0.0.1");
    await once(blocker, "listening");
    cleanups.push(async () => blocker.close());
    const { port } = blocker.address() as { port: number };
    const start = (options: object) => startRedis({ dir: folder, log: () => {}, ...options });
    await expect(start({ port })).rejects.toThrow(PortTakenError);
    await expect(start({ args: ["--no-such-setting", "1"] })).rejects.toThrow("no-such-setting");
  });

  it("names in one line what to do where there is no Redis and no package manager", async () => {
    const path = process.env["PATH"];
    cleanups.push(async () => {
      process.env["PATH"] = path;
    });
    process.env["PATH"] = folder;
    const missing = ensureRedisServer({ log: () => {} });
    await expect(missing).rejects.toThrow(RedisMissingError);
    await expect(missing).rejects.toThrow(/^redis-server is missing: .* REDIS_URL$/);
  });
});
