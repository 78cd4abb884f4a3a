import { afterAll, beforeAll, expect, test } from "vitest";
import { Database } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { query } from "../harness/store-clients.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(() => stores.close());

test("what DATABASE_URL says of a session counts, except where ours must: schema, time limits, name", async () => {
  const url = new URL(await stores.createDatabase("with_options"));
  url.searchParams.set("options", "-c search_path=public -c work_mem=8MB -c statement_timeout=0");
  url.searchParams.set("application_name", "somebody");
  url.searchParams.set("lock_timeout", "0");
  await migrate({ url: url.href }, "fleet");
  expect(await query(url.href, "SELECT count(*)::int AS tables FROM fleet.ticks")).toEqual([{ tables: 0 }]);
  const db = new Database({
    url: url.href,
    schema: "fleet",
    applicationName: "ringfleet/test",
    poolSize: 1,
    statementTimeoutMs: 1234,
    lockTimeoutMs: 321,
  });
  try {
    const { rows } = await db.query(
      `SELECT current_schema AS schema, current_setting('work_mem') AS memory,
         current_setting('application_name') AS name, current_setting('statement_timeout') AS statement,
         current_setting('lock_timeout') AS lock`,
    );
    expect(rows).toEqual([
      { schema: "fleet", memory: "8MB", name: "ringfleet/test", statement: "1234ms", lock: "321ms" },
    ]);
  } finally {
    await db.close();
  }
});
