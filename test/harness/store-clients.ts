import { Redis } from "ioredis";
import pg from "pg";
import { waitFor } from "./fleet.js";

export async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { retryStrategy: null });
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** Milliseconds until every row carries a tick of now. */
export async function untilWorked(client: pg.Client, timeoutMs: number): Promise<number> {
  const startedAt = Date.now();
  const { rows } = await client.query<{ now: Date }>("SELECT clock_timestamp() AS now");
  await waitFor(
    "all rows worked again",
    async () =>
      (
        await client.query<{ fresh: boolean }>(
          "SELECT min(lasttick) > $1::timestamptz - interval '1 second' AS fresh FROM work_items",
          [rows[0]?.now],
        )
      ).rows[0]?.fresh === true,
    timeoutMs,
  );
  return Date.now() - startedAt;
}
