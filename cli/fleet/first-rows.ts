import pg from "pg";
import { migrate } from "../../core/postgres/schema.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";

/** Brings a database to where a fleet can work: schema, initial config, and rows where the table has none. */
export async function prepareDatabase(
  databaseUrl: string,
  schema: string,
  rows: number,
  createdBy: string,
): Promise<{ insertedRows: number; insertedConfig: boolean }> {
  await migrate(databaseUrl, schema);
  const client = new pg.Client({ connectionString: databaseUrl, options: `-c search_path=${schema}` });
  await client.connect();
  try {
    const db = {
      query: async <R extends Record<string, unknown>>(text: string, values?: readonly unknown[]) => {
        const result = await client.query<R>(text, values as unknown[]);
        return { rows: result.rows, rowCount: result.rowCount ?? 0 };
      },
    };
    const insertedConfig = await insertInitialConfig(db, {
      digest: configDigest(DEFAULT_CONFIG),
      body: DEFAULT_CONFIG,
      createdBy,
      reason: "initial config",
    });
    const inserted = await client.query(
      `INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1::int)
       WHERE NOT EXISTS (SELECT FROM work_items)`,
      [rows],
    );
    return { insertedRows: inserted.rowCount ?? 0, insertedConfig };
  } finally {
    await client.end();
  }
}
