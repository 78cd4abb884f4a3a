// The control probe: a process and a connection of its own that does each tick what a worker must at least do,
// one row of its own. A tick that even the probe missed was missed by the machine.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const tickMs = Number(process.env.TICK_MS ?? 1000);

/** Serves ticks on one connection until it breaks. */
async function serve() {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL, application_name: "probe" });
  client.on("error", () => undefined);
  await client.connect();
  await client.query(
    "CREATE TABLE IF NOT EXISTS probe (tick timestamptz PRIMARY KEY, at timestamptz NOT NULL)",
  );
  process.stdout.write("ready\n");
  let done = 0;
  for (;;) {
    const { rows } = await client.query(
      "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now",
    );
    const { now } = rows[0];
    const tick = Math.floor(now / tickMs) * tickMs;
    if (tick > done) {
      await client.query(
        "INSERT INTO probe VALUES (to_timestamp($1), clock_timestamp()) ON CONFLICT DO NOTHING",
        [tick / 1000],
      );
      done = tick;
    }
    await sleep(Math.max(1, tick + tickMs - now + 1));
  }
}

for (;;) {
  // Postgres may be what the test kills: the next connection goes on.
  await serve().catch(() => undefined);
  await sleep(100);
}
