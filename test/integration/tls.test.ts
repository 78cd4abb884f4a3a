import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../../cli/stores/free-port.js";
import { type PostgresAddressSettings, postgresAddress } from "../../core/postgres/address.js";
import { Database } from "../../core/postgres/database.js";
import { type RedisAddressSettings, redisAddress } from "../../core/redis/address.js";
import { closeRedis, connectRedis } from "../../core/redis/connection.js";
import { reasonWithAdvice } from "../../core/tls/tls-advice.js";
import { type Certificates, makeCertificates } from "../harness/certificates.js";
import { Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import { presentCertificate, restrictHosts } from "../harness/postgres-tls.js";
import { query, untilWorked, withRedis } from "../harness/store-clients.js";
import { startTestStores, type TestStores } from "../harness/stores.js";
import { runCli } from "../harness/up.js";

let certificates: Certificates;
let stores: TestStores;
let redisTlsPort: number;

beforeAll(async () => {
  certificates = await makeCertificates();
  redisTlsPort = await findFreePort();
  const { ca, server } = certificates;
  const files = { "tls-cert-file": server.cert, "tls-key-file": server.key, "tls-ca-cert-file": ca.file };
  const args = Object.entries(files).flatMap(([name, path]) => [`--${name}`, path]);
  stores = await startTestStores({ redis: { args: ["--tls-port", String(redisTlsPort), ...args] } });
  await query(stores.databaseUrl, "CREATE ROLE fleet LOGIN PASSWORD 'fleet'");
});
afterAll(async () => {
  await stores.close();
  await certificates.close();
});

/** As the fleet's role, by a name that stands in the certificate. */
function fleetUrl(databaseUrl: string, host = "localhost"): string {
  const url = new URL(databaseUrl);
  url.username = "fleet";
  url.password = "fleet";
  url.hostname = host;
  return url.href;
}

/** What Postgres answers, or why it couldn't be reached. */
async function askPostgres(settings: Partial<PostgresAddressSettings>): Promise<string> {
  const address = postgresAddress(
    {
      databaseUrl: fleetUrl(stores.databaseUrl),
      pgSslMode: null,
      pgSslCaFile: null,
      pgSslCertFile: null,
      pgSslKeyFile: null,
      ...settings,
    },
    () => undefined,
  );
  const options = {
    schema: "public",
    applicationName: "ringfleet/test",
    poolSize: 1,
    statementTimeoutMs: 3000,
  };
  const db = new Database({ ...address, ...options });
  try {
    const { rows } = await db.query<{ said: string }>(
      `SELECT format('encrypted %s, client %s', ssl, coalesce(client_dn, 'unnamed')) AS said
       FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
    );
    return rows[0]?.said ?? "";
  } catch (error) {
    return reasonWithAdvice("Postgres", error);
  } finally {
    await db.close();
  }
}

/** PONG, or the first error. */
async function askRedis(settings: Partial<RedisAddressSettings>): Promise<string> {
  const address = redisAddress(
    {
      redisUrl: `rediss://localhost:${redisTlsPort}`,
      redisTlsCaFile: null,
      redisTlsCertFile: null,
      redisTlsKeyFile: null,
      redisSentinels: null,
      redisSentinelMaster: "mymaster",
      redisSentinelPassword: null,
      ...settings,
    },
    () => undefined,
  );
  let fail: (reason: string) => void = () => undefined;
  const failure = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const onError = (error: Error) => fail(reasonWithAdvice("Redis", error));
  const redis = connectRedis({ address, connectionName: "test", onError });
  const ready = new Promise<string>((resolve, reject) => {
    redis.once("ready", () => redis.ping().then(resolve, reject));
  });
  try {
    return await Promise.race([ready, failure]);
  } finally {
    closeRedis(redis);
  }
}

test("Postgres: who is believed under each mode, and what an error says to do", async () => {
  const { ca, otherCa, server, elsewhere, stranger, client } = certificates;
  await restrictHosts(stores, "fleet", "tls-or-clear");
  const trusted = { pgSslCaFile: ca.file };
  expect(await askPostgres({ pgSslMode: "disable" })).toBe("encrypted f, client unnamed");
  expect(await askPostgres(trusted)).toMatch(/doesn't speak TLS there: .*PG_SSL_MODE=disable/);

  await presentCertificate(stores, server);
  expect(await askPostgres({}), "nothing asked for").toBe("encrypted f, client unnamed");
  expect(await askPostgres(trusted), "a CA file means verify-full").toBe("encrypted t, client unnamed");
  const byUrl = (query: string) => ({ databaseUrl: `${fleetUrl(stores.databaseUrl)}?${query}` });
  const inUrl = `sslmode=verify-full&sslrootcert=${encodeURIComponent(ca.file)}`;
  expect(await askPostgres(byUrl(inUrl))).toBe("encrypted t, client unnamed");
  expect(await askPostgres({ ...byUrl("sslmode=verify-full"), pgSslMode: "disable" })).toMatch(
    /^encrypted f/,
  );
  expect(await askPostgres({ databaseUrl: fleetUrl(stores.databaseUrl, "127.0.0.1"), ...trusted })).toMatch(
    /^encrypted t/,
  );
  expect(await askPostgres({ pgSslCaFile: otherCa.file })).toMatch(/PG_SSL_CA_FILE must hold the CA/);
  expect(await askPostgres({ pgSslMode: "verify-full" })).toMatch(/PG_SSL_CA_FILE must hold the CA/);
  expect(await askPostgres({ pgSslMode: "require", ...trusted })).toMatch(/^encrypted t/);
  expect(await askPostgres({ pgSslMode: "require", pgSslCaFile: otherCa.file })).toMatch(/PG_SSL_CA_FILE/);

  await presentCertificate(stores, elsewhere);
  expect(await askPostgres(trusted)).toMatch(
    /localhost\. is not in .*db\.example; use a host name .*verify-ca/,
  );
  expect(await askPostgres({ pgSslMode: "verify-ca", ...trusted })).toBe("encrypted t, client unnamed");

  await presentCertificate(stores, stranger);
  expect(await askPostgres({ pgSslMode: "verify-ca", ...trusted })).toMatch(/PG_SSL_CA_FILE must hold/);
  expect(await askPostgres({ pgSslMode: "require" }), "anyone").toBe("encrypted t, client unnamed");

  await presentCertificate(stores, server, ca.file);
  await restrictHosts(stores, "fleet", "tls-only");
  expect(await askPostgres({})).toMatch(/no encryption; the server takes TLS only: set PG_SSL_MODE/);
  await restrictHosts(stores, "fleet", "client-certificate");
  expect(await askPostgres(trusted)).toMatch(/wants a client certificate: set PG_SSL_CERT_FILE and/);
  const named = { pgSslCertFile: client.cert, pgSslKeyFile: client.key };
  expect(await askPostgres({ ...trusted, ...named })).toBe("encrypted t, client /CN=fleet");
  const strange = { pgSslCertFile: stranger.cert, pgSslKeyFile: stranger.key };
  expect(await askPostgres({ ...trusted, ...strange })).toMatch(
    /refuses the client certificate: renew PG_SSL/,
  );
});

test("Redis: the certificate and its name are verified, and what an error says to do", async () => {
  const { ca, otherCa, server, elsewhere, client, stranger } = certificates;
  const named = { redisTlsCertFile: client.cert, redisTlsKeyFile: client.key };
  const trusted = { redisTlsCaFile: ca.file, ...named };
  const present = ({ cert, key }: { cert: string; key: string }) =>
    withRedis(stores.redisUrl, (redis) => redis.config("SET", "tls-cert-file", cert, "tls-key-file", key));
  expect(await askRedis(trusted)).toBe("PONG");
  expect(await askRedis({ ...trusted, redisUrl: `rediss://127.0.0.1:${redisTlsPort}` })).toBe("PONG");
  expect(await askRedis({ ...trusted, redisTlsCaFile: otherCa.file })).toMatch(/REDIS_TLS_CA_FILE must hold/);
  expect(await askRedis({ redisTlsCaFile: ca.file })).toMatch(
    /client certificate: (set|look at) REDIS_TLS_CERT_FILE/,
  );
  const strange = { redisTlsCertFile: stranger.cert, redisTlsKeyFile: stranger.key };
  expect(await askRedis({ ...trusted, ...strange })).toMatch(
    /client certificate: (renew|look at) REDIS_TLS_CERT/,
  );
  expect(await askRedis({ ...trusted, redisUrl: stores.redisUrl.replace("redis:", "rediss:") })).toMatch(
    /doesn't speak TLS there: .*redis:\/\/ instead of rediss/,
  );
  await present(elsewhere);
  expect(await askRedis(trusted)).toMatch(/db\.example; use a host name of the certificate in REDIS_URL/);
  await present(server);
});

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
