import pg from "pg";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Leadership } from "../../control-plane/leadership/leadership.js";
import { acquireLease, readLease, renewLease } from "../../control-plane/leadership/lease-store.js";
import { Database } from "../../core/postgres/database.js";
import { readDatabaseTime } from "../../core/time/read-database-time.js";
import { publishRing, readHighestVersions } from "../../core/versions/version-store.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
let db: Database;
beforeAll(async () => {
  stores = await startTestStores();
  const url = await prepareDatabase(stores);
  db = new Database({
    url,
    schema: "public",
    applicationName: "two-leaders",
    poolSize: 4,
    statementTimeoutMs: 5000,
  });
});
afterAll(async () => {
  await db.close();
  await stores.close();
});

const view = { format: 1, seats: [], exceptions: [], dead: [] };
const publication = (holder: string, term: number, base: number) => {
  const notAfterMs = Date.now() + 60_000;
  return { base, digest: "d", body: view, createdBy: holder, reason: "test", holder, term, notAfterMs };
};

test("two replicas that both believe they lead: one publishes, Postgres refuses the other", async () => {
  const deposed = (await acquireLease(db, "first/1", 300)) ?? 0;
  expect(await publishRing(db, publication("first/1", deposed, 0))).toMatchObject({ version: 1 });
  expect(await acquireLease(db, "second/2", 3000)).toBeNull();
  await db.query("SELECT pg_sleep(0.35)");
  const term = (await acquireLease(db, "second/2", 3000)) ?? 0;
  expect(term).toBe(deposed + 1);
  const results = await Promise.all([
    publishRing(db, publication("first/1", deposed, 1)),
    publishRing(db, publication("second/2", term, 1)),
  ]);
  expect(results[0]).toBeNull();
  expect(results[1]).toMatchObject({ version: 2 });
  expect(await renewLease(db, "first/1", deposed, 3000)).toBe(false);
  expect(await publishRing(db, publication("second/2", term, 1)), "a stale base is refused").toBeNull();
  expect(await publishRing(db, publication("second/2", deposed, 2)), "a stale term is refused").toBeNull();
});

test("a publish that comes too late is refused: whom it seats may have gone", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  const term = (await acquireLease(db, "late/9", 60_000)) ?? 0;
  const { ring } = await readHighestVersions(db);
  const holding = await heldLease();
  const notAfterMs = (await readDatabaseTime(db)) + 300;
  const waiting = publishRing(db, { ...publication("late/9", term, ring), notAfterMs });
  await db.query("SELECT pg_sleep(0.4)");
  await holding.end();
  expect(await waiting, "decided before, arrived in time, held up by a lock").toBeNull();
  expect(await publishRing(db, publication("late/9", term, ring))).toMatchObject({ version: ring + 1 });
});

test("an expired lease publishes nothing, even while nobody else has taken it", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  const term = (await acquireLease(db, "third/3", 100)) ?? 0;
  await db.query("SELECT pg_sleep(0.15)");
  const [{ highest } = { highest: 0 }] = (
    await db.query<{ highest: number }>("SELECT max(version) AS highest FROM versions WHERE kind = 'ring'")
  ).rows;
  expect(await publishRing(db, publication("third/3", term, highest))).toBeNull();
});

test("a publish and an election wait for each other: whichever is first, terms never mix", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  const term = (await acquireLease(db, "fourth/4", 60_000)) ?? 0;
  const [{ highest } = { highest: 0 }] = (
    await db.query<{ highest: number }>("SELECT max(version) AS highest FROM versions WHERE kind = 'ring'")
  ).rows;
  // A successor's election, forced and held open: the publish behind it must see the new term.
  const other = new Database({
    url: await currentUrl(),
    schema: "public",
    applicationName: "election",
    poolSize: 1,
    statementTimeoutMs: 5000,
  });
  await other.query("BEGIN");
  await other.query("UPDATE leadership SET holder = 'fifth/5', term = term + 1");
  const publish = publishRing(db, publication("fourth/4", term, highest));
  const state = await Promise.race([
    publish.then(() => "done"),
    db.query("SELECT pg_sleep(0.3)").then(() => "waits"),
  ]);
  expect(state).toBe("waits");
  await other.query("COMMIT");
  expect(await publish).toBeNull();
  await other.close();
});

test("a leader trusts its term no longer than the TTL after it sent the renewal", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  let now = 1000;
  const leadership = new Leadership({
    db,
    holder: "sixth/6",
    ttlMs: 3000,
    monotonicNow: () => now,
    log: pino({ level: "silent" }),
    registry: new Registry(),
    onElected: () => undefined,
  });
  await leadership.step();
  expect(leadership.term()).not.toBeNull();
  now += 2999;
  expect(leadership.term()).not.toBeNull();
  now += 1;
  expect(leadership.term()).toBeNull();
});

test("a lease left far ahead by a clock that stepped back is taken, in a new term", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  const term = (await acquireLease(db, "seventh/7", 3000)) ?? 0;
  // What the clock's step makes of it, once the holder is dead.
  await db.query("UPDATE leadership SET expires_at = clock_timestamp() + interval '1 hour'");
  expect(await acquireLease(db, "eighth/8", 3000)).toBe(term + 1);
  expect(await renewLease(db, "seventh/7", term, 3000)).toBe(false);
  // Nobody else's ordinary lease is.
  expect(await acquireLease(db, "ninth/9", 3000)).toBeNull();
  expect(await acquireLease(db, "ninth/9", 1600), "nor that of a replica with twice the TTL").toBeNull();
});

async function currentUrl(): Promise<string> {
  const { rows } = await db.query<{ name: string }>("SELECT current_database() AS name");
  const url = new URL(stores.databaseUrl);
  url.pathname = `/${rows[0]?.name}`;
  return url.href;
}

test("a renewal that waits for the row counts from when it was sent: its sender may be dead by then", async () => {
  await db.query("UPDATE leadership SET holder = NULL, expires_at = '-infinity'");
  const term = (await acquireLease(db, "fifth/5", 3000)) ?? 0;
  const [holding, waiting] = [await heldLease(), renewLease(db, "fifth/5", term, 3000)];
  await db.query("SELECT pg_sleep(1)");
  await holding.end();
  expect(await waiting).toBe(true);
  expect((await readLease(db)).remainingMs).toBeLessThanOrEqual(2000);
});

/** Something that stalls with the lease in its hands; ended, it lets go. */
async function heldLease(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: await currentUrl() });
  await client.connect();
  await client.query("BEGIN; SELECT FROM leadership FOR UPDATE");
  return client;
}
