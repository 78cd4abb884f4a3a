import { afterAll, beforeAll, expect, test } from "vitest";
import { Database } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";
import { expectedSlot } from "../harness/expected-owners.js";
import { Fleet, waitFor } from "../harness/fleet.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const SCHEMA = "of_its_own";

let stores: TestStores;
let fleet: Fleet;
let db: Database;
let base: string;

beforeAll(async () => {
  stores = await startTestStores();
  const databaseUrl = await stores.createDatabase("api");
  await migrate({ url: databaseUrl }, SCHEMA);
  db = new Database({
    url: databaseUrl,
    schema: SCHEMA,
    applicationName: "test",
    poolSize: 2,
    statementTimeoutMs: 5000,
  });
  await insertInitialConfig(db, {
    digest: configDigest(DEFAULT_CONFIG),
    body: DEFAULT_CONFIG,
    createdBy: "test",
    reason: "initial",
  });
  await db.query("INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, 90)");
  fleet = new Fleet({ databaseUrl, redisUrl: stores.redisUrl, env: { PG_SCHEMA: SCHEMA } });
  const control = fleet.controlPlane("control-1");
  fleet.workers(3);
  base = await control.url();
  await waitFor(
    "all rows in work",
    async () => {
      const { rows } = await db.query<{ all: boolean }>(
        "SELECT min(lasttick) > '-infinity' AS all FROM work_items",
      );
      return rows[0]?.all === true;
    },
    20_000,
  );
});
afterAll(async () => {
  await fleet.close();
  await db.close();
  await stores.close();
});

async function get(path: string, init?: RequestInit): Promise<{ status: number; type: string; body: never }> {
  const response = await fetch(new URL(path, base), init);
  return {
    status: response.status,
    type: response.headers.get("content-type") ?? "",
    body: (await response.json()) as never,
  };
}

test("GET /v1/leader and /v1/workers", async () => {
  const leader = await get("/v1/leader");
  expect(leader.body).toMatchObject({
    holder: expect.stringMatching(/^control-1\/\d+$/),
    term: 1,
    leading: true,
  });
  const { body } = await get("/v1/workers");
  const { workers } = body as { workers: { name: string; rows: number; slots: number; state: string }[] };
  expect(workers.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
    "worker-1 seated",
    "worker-2 seated",
    "worker-3 seated",
  ]);
  expect(workers.reduce((sum, worker) => sum + worker.slots, 0)).toBe(16_384);
});

test("GET /v1/ring: in force, to come, and the newest", async () => {
  const { body } = await get("/v1/ring");
  expect(body).toMatchObject({ current: { version: expect.any(Number), reason: "join" }, upcoming: [] });
  const { current, recent } = body as { current: { version: number }; recent: { version: number }[] };
  expect(recent[0]?.version).toBe(current.version);
});

test("GET /v1/items/:id/owner agrees with who works the row; the id's case doesn't matter", async () => {
  const { rows } = await db.query<{ id: string; worker: string }>(
    "SELECT id::text AS id, currentworker AS worker FROM work_items LIMIT 10",
  );
  for (const { id, worker } of rows) {
    const { body } = await get(`/v1/items/${id.toUpperCase()}/owner`);
    expect(body).toMatchObject({ id, worker, currentworker: worker, slot: expectedSlot(id) });
  }
  const missing = await get(`/v1/items/${crypto.randomUUID()}/owner`);
  expect(missing).toMatchObject({ status: 404, body: { status: 404, code: "item_not_found" } });
  expect(missing.type).toContain("application/problem+json");
});

test("POST /v1/ring/preview: a number or names; nothing changes", async () => {
  const post = (content: string) =>
    get("/v1/ring/preview", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: content,
    });
  const versions = async () => (await db.query("SELECT FROM versions WHERE kind = 'ring'")).rowCount;
  const before = await versions();
  const more = await post('{"workers": 6}');
  expect(more.body).toMatchObject({ rows: 90, ideal: 45 });
  // Each of the three new seats is filled to 15 rows, or to within one of them.
  expect((more.body as { moved: number }).moved).toBeGreaterThanOrEqual(42);
  expect((more.body as { moved: number }).moved).toBeLessThanOrEqual(45);
  const fewer = await post('{"leave": ["worker-3"], "join": ["somebody"]}');
  expect(fewer.body).toMatchObject({ moved: 30, ideal: 30 });
  expect(await versions()).toBe(before);
  expect(await post('{"workers": -1}')).toMatchObject({ status: 422, body: { code: "invalid_preview" } });
  expect(await post('{"workers": 3, "extra": 1}')).toMatchObject({ status: 422 });
  expect(await post("{")).toMatchObject({ status: 400, body: { code: "body_not_json" } });
  expect(await post(`"${"x".repeat(100_000)}"`)).toMatchObject({
    status: 413,
    body: { code: "body_too_large" },
  });
});

test("unknown routes are problems, and say what was asked for", async () => {
  const { status, type, body } = await get("/v1/nothing");
  expect(status).toBe(404);
  expect(type).toContain("application/problem+json");
  expect(body).toMatchObject({ code: "route_not_found", detail: expect.stringContaining("GET /v1/nothing") });
});

test("a worker's /slice lists exactly the rows that it works", async () => {
  const { body } = await get("/v1/workers");
  const { workers } = body as { workers: { name: string; address: string }[] };
  const all: string[] = [];
  for (const worker of workers) {
    const slice = (await (await fetch(`${worker.address}/slice`)).json()) as {
      worker: string;
      ids: string[];
    };
    const { rows } = await db.query<{ id: string }>(
      "SELECT id::text AS id FROM work_items WHERE currentworker = $1",
      [worker.name],
    );
    expect([...slice.ids].sort()).toEqual(rows.map((row) => row.id).sort());
    all.push(...slice.ids);
  }
  expect(new Set(all).size).toBe(90);
});
