import { execFile } from "node:child_process";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../core/project-root.js";
import type { Certificates } from "../harness/certificates.js";
import { Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import { presentCertificate, restrictHosts } from "../harness/postgres-tls.js";
import { query, untilWorked, withRedis } from "../harness/store-clients.js";
import type { TestStores } from "../harness/stores.js";
import { fleetUrl, startTlsStores, type TlsStores } from "../harness/tls-stores.js";
import { runCli } from "../harness/up.js";

let tls: TlsStores;
let certificates: Certificates;
let stores: TestStores;
let redisTlsPort: number;

beforeAll(async () => {
  tls = await startTlsStores();
  ({ certificates, stores, redisTlsPort } = tls);
});
afterAll(() => tls.close());

test("a fleet with TLS and client certificates to both stores, and certificates rotated under it", async () => {
  const { ca, otherCa, server, stranger, client, folder } = certificates;
  await presentCertificate(stores, server, ca.file);
  await restrictHosts(stores, "fleet", "client-certificate");
  const straightUrl = await stores.createDatabase("tls_fleet");
  await query(stores.databaseUrl, "ALTER DATABASE tls_fleet OWNER TO fleet");
  const trusted = { postgres: join(folder, "postgres.crt"), redis: join(folder, "redis.crt") };
  for (const path of Object.values(trusted)) await copyFile(ca.file, path);
  const own = { cert: join(folder, "own.crt"), key: join(folder, "own.key") };
  await copyFile(client.cert, own.cert);
  await copyFile(client.key, own.key);
  const env = {
    DATABASE_URL: fleetUrl(straightUrl),
    PG_SSL_CA_FILE: trusted.postgres,
    PG_SSL_CERT_FILE: own.cert,
    PG_SSL_KEY_FILE: own.key,
    REDIS_TLS_CA_FILE: trusted.redis,
    REDIS_TLS_CERT_FILE: own.cert,
    REDIS_TLS_KEY_FILE: own.key,
  };
  const wrong = await runCli(["migrate"], { ...env, PG_SSL_CA_FILE: otherCa.file });
  expect(wrong).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/by TLS: .*PG_SSL_CA_FILE must hold/),
  });
  expect(await runCli(["migrate"], env)).toMatchObject({ code: 0 });
  expect(await runCli(["config", "default"], env)).toMatchObject({ code: 0 });
  expect(await runCli(["rows", "--json"], env)).toMatchObject({ code: 0, stdout: /"total":0/ });
  await query(
    straightUrl,
    "INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, 50)",
  );

  const redisUrl = `rediss://localhost:${redisTlsPort}`;
  const fleet = new Fleet({ databaseUrl: env.DATABASE_URL, judgeUrl: straightUrl, redisUrl, env });
  await fleet.client.connect();
  try {
    fleet.controlPlane("control-1");
    fleet.workers(2);
    await fleet.untilSeated(["worker-1", "worker-2"]);
    await untilWorked(fleet.client, 5000);
    await expectAllEncrypted(fleet);
    await expectHelmTestPasses(fleet, { ...env, REDIS_URL: redisUrl });

    // Postgres comes back with another certificate before the file is there.
    await presentCertificate(stores, stranger, ca.file);
    await cutPostgres(fleet);
    await everybodySays(fleet, /Postgres fails: .*PG_SSL_CA_FILE must hold the CA/);
    await copyFile(otherCa.file, trusted.postgres);
    expect(await untilWorked(fleet.client, 10_000), "work resumes").toBeLessThan(5000);
    // A key that is being written is not used, and the connection is made with the one before.
    await writeFile(own.key, "-----BEGIN PRIVATE KEY-----\nhalf");
    await cutPostgres(fleet);
    await everybodySays(fleet, /^PG_SSL_KEY_FILE=.*: must hold a private key .*read before go on$/);
    await untilWorked(fleet.client, 10_000);
    await copyFile(client.key, own.key);

    await withRedis(stores.redisUrl, async (redis) => {
      await redis.config("SET", "tls-cert-file", stranger.cert, "tls-key-file", stranger.key);
      for (const type of ["normal", "pubsub"]) await redis.call("CLIENT", "KILL", "TYPE", type);
    });
    await everybodySays(fleet, /Redis fails: .*REDIS_TLS_CA_FILE must hold the CA/);
    await copyFile(otherCa.file, trusted.redis);
    await everybodySays(fleet, /^Redis is back$/);
    fleet.worker("worker-3");
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
    await expectAllEncrypted(fleet);
    expect(fleet.running().length, "nobody has ended").toBe(4);
  } finally {
    await fleet.close();
    await withRedis(stores.redisUrl, (redis) =>
      redis.config("SET", "tls-cert-file", server.cert, "tls-key-file", server.key),
    );
  }
});

test("a certificate file that can't be used: exit 2, one line that names its setting", async () => {
  const { ca, server, client, folder } = certificates;
  const garbage = join(folder, "garbage.pem");
  await writeFile(garbage, "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n");
  const key = { PG_SSL_CERT_FILE: client.cert, PG_SSL_KEY_FILE: server.key };
  const cases: [Record<string, string>, RegExp][] = [
    [
      { PG_SSL_CA_FILE: join(folder, "none") },
      /^PG_SSL_CA_FILE=\S+none: must name a readable file \(ENOENT\)$/,
    ],
    [{ PG_SSL_CA_FILE: folder }, /^PG_SSL_CA_FILE=\S+: must name a readable file \(EISDIR\)$/],
    [{ PG_SSL_CA_FILE: garbage }, /^PG_SSL_CA_FILE=\S+: must hold certificates in PEM/],
    [{ PG_SSL_CA_FILE: server.key }, /^PG_SSL_CA_FILE=\S+: must hold certificates in PEM$/],
    [key, /^PG_SSL_KEY_FILE=\S+: must belong to PG_SSL_CERT_FILE \(.*key values mismatch/],
    [
      { PG_SSL_CERT_FILE: ca.file, PG_SSL_KEY_FILE: ca.file },
      /^PG_SSL_KEY_FILE=\S+: must hold a private key/,
    ],
    [{ REDIS_TLS_CA_FILE: ca.file }, /^REDIS_TLS_CA_FILE=\S+: must not be set where REDIS_URL is redis:/],
  ];
  const fleet = new Fleet({ databaseUrl: stores.databaseUrl, redisUrl: stores.redisUrl });
  try {
    const ends = cases.map(([env], index) => {
      return index % 2 === 0
        ? fleet.worker(`worker-${index}`, env)
        : fleet.controlPlane(`control-${index}`, env);
    });
    for (const [index, [, expected]] of cases.entries()) {
      const process = ends[index];
      expect(await process?.exited).toEqual({ code: 2, signal: null });
      expect(process?.raw).toEqual([expect.stringMatching(expected)]);
    }
    const command = await runCli(["rows"], { DATABASE_URL: stores.databaseUrl, PG_SSL_CA_FILE: garbage });
    expect(command).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/PG_SSL_CA_FILE=\S+: must hold/),
    });
  } finally {
    await fleet.close();
  }
});

/** The script of `helm test`, with a URL that says something else of TLS than the settings, which win. */
async function expectHelmTestPasses(fleet: Fleet, env: Record<string, string>): Promise<void> {
  const script = await readFile(join(projectRoot(), "charts/ringfleet/files/fleet-test.mjs"), "utf8");
  const [control] = fleet.running();
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: projectRoot(),
    env: {
      ...env,
      PATH: process.env["PATH"] ?? "",
      DATABASE_URL: `${env["DATABASE_URL"]}?sslmode=require`,
      CONTROL_PLANE_URL: (await control?.url()) ?? "",
      EXPECTED_WORKERS: "2",
      MORE_ALLOWED: "false",
      TIMEOUT_SECONDS: "10",
      PG_SCHEMA: "public",
    },
  });
  expect(stdout).toContain("every row is fresh, 2 workers are seated");
}

async function cutPostgres(fleet: Fleet): Promise<void> {
  await fleet.client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleet'");
}

async function everybodySays(fleet: Fleet, pattern: RegExp): Promise<void> {
  await Promise.all(
    fleet.running().map((process: FleetProcess) => {
      return waitFor(`${process.name} to say ${pattern}`, () => process.find(pattern), 10_000, process);
    }),
  );
}

/** Every connection of every process, judged by the servers. */
async function expectAllEncrypted(fleet: Fleet): Promise<void> {
  const { rows } = await fleet.client.query<{ application_name: string; ssl: boolean; client_dn: string }>(
    `SELECT DISTINCT application_name, ssl, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
     WHERE application_name LIKE 'ringfleet/%'`,
  );
  expect(rows.length).toBeGreaterThanOrEqual(fleet.running().length);
  for (const row of rows) expect(row).toMatchObject({ ssl: true, client_dn: "/CN=fleet" });
  const list = String(await withRedis(stores.redisUrl, (redis) => redis.client("LIST")));
  const clients = list.split("\n").filter((line) => line.includes("name=ringfleet/"));
  // One for commands and one for hints.
  expect(clients.length).toBe(2 * fleet.running().length);
  for (const line of clients) expect(line).toContain(`laddr=127.0.0.1:${redisTlsPort}`);
}
