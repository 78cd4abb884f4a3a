// helm test: every row is fresh in Postgres, and as many workers are seated as there should be.
// It runs in the control plane's image, and reaches Postgres just as the processes do.
import pg from "pg";

const ofCore = (path) => import(`${process.cwd()}/dist/core/${path}`);
const { parseWorkerSettings } = await ofCore("settings/settings.js");
const { postgresAddress } = await ofCore("postgres/address.js");
const { sessionConfig } = await ofCore("postgres/session-config.js");

const { CONTROL_PLANE_URL, API_TOKEN, EXPECTED_WORKERS, MORE_ALLOWED, TIMEOUT_SECONDS, PG_SCHEMA } = process.env;
const deadline = Date.now() + Number(TIMEOUT_SECONDS) * 1000;
const expected = Number(EXPECTED_WORKERS);
const address = postgresAddress(parseWorkerSettings(process.env), (problem) => console.log(problem));

async function problems() {
  const response = await fetch(`${CONTROL_PLANE_URL}/v1/workers`, {
    headers: { authorization: `Bearer ${API_TOKEN}` },
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) return [`GET /v1/workers: HTTP ${response.status}`];
  const { leader, workers } = await response.json();
  const found = [];
  if (leader === null) found.push("no control plane leads");
  const seated = workers.filter((worker) => worker.state === "seated").length;
  const isEnough = MORE_ALLOWED === "true" ? seated >= expected : seated === expected;
  if (!isEnough) found.push(`${seated} workers are seated, not ${expected}`);
  const { total, stale } = await staleRows();
  if (stale > 0) found.push(`${stale} of ${total} rows are older than 3 ticks`);
  return found;
}

async function staleRows() {
  const session = sessionConfig(address, "ringfleet/helm-test", []);
  const client = new pg.Client({ ...session, connectionTimeoutMillis: 5000 });
  await client.connect();
  try {
    const { rows } = await client.query(`
      WITH config AS (SELECT (body->>'tickMs')::int AS tick_ms, (body->>'paused')::boolean
                        OR (body->>'maxRowsPerSecond')::int > 0 AS leaves_rows
                      FROM "${PG_SCHEMA}".versions WHERE kind = 'config' AND activates_at <= now()
                      ORDER BY version DESC LIMIT 1)
      SELECT count(work_items.id)::int AS total, count(work_items.id) FILTER (
               WHERE NOT leaves_rows AND lasttick < now() - (3 * tick_ms + 1000) * interval '1 ms')::int AS stale
      FROM config LEFT JOIN "${PG_SCHEMA}".work_items ON true GROUP BY leaves_rows, tick_ms`);
    if (rows[0] === undefined) throw new Error("the database has no config");
    return rows[0];
  } finally {
    await client.end();
  }
}

for (;;) {
  const found = await problems().catch((error) => [error instanceof Error ? error.message : String(error)]);
  if (found.length === 0) break;
  console.log(found.join("; "));
  if (Date.now() > deadline) process.exit(1);
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.log(`every row is fresh, ${expected} workers are seated`);
