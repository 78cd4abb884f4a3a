import { Database } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";
import { onDatabase } from "../database-errors.js";
import { addressOf } from "../environment.js";

/** Millions of first rows take their time. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** Brings a database to where a fleet can work: schema, initial config, and rows where the table has none. */
export async function prepareDatabase(
  url: string,
  schema: string,
  rows: number,
): Promise<{ insertedRows: number; insertedConfig: boolean }> {
  return await onDatabase(url, async () => {
    await migrate(addressOf(url), schema);
    const db = new Database({
      ...addressOf(url),
      schema,
      applicationName: "ringfleet/up",
      poolSize: 1,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    });
    try {
      const insertedConfig = await insertInitialConfig(db, {
        digest: configDigest(DEFAULT_CONFIG),
        body: DEFAULT_CONFIG,
        createdBy: "ringfleet up",
        reason: "initial config",
      });
      const inserted = await db.query(
        `INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1::int)
         WHERE NOT EXISTS (SELECT FROM work_items)`,
        [rows],
      );
      return { insertedRows: inserted.rowCount, insertedConfig };
    } finally {
      await db.close();
    }
  });
}
