import { afterAll, beforeAll, expect, test } from "vitest";
import { type PostgresAddressSettings, postgresAddress } from "../../core/postgres/address.js";
import { Database } from "../../core/postgres/database.js";
import { type RedisAddressSettings, redisAddress } from "../../core/redis/address.js";
import { closeRedis, connectRedis } from "../../core/redis/connection.js";
import { reasonWithAdvice } from "../../core/tls/tls-advice.js";
import type { Certificates } from "../harness/certificates.js";
import { presentCertificate, restrictHosts } from "../harness/postgres-tls.js";
import { withRedis } from "../harness/store-clients.js";
import type { TestStores } from "../harness/stores.js";
import { fleetUrl, startTlsStores, type TlsStores } from "../harness/tls-stores.js";

let tls: TlsStores;
let certificates: Certificates;
let stores: TestStores;
let redisTlsPort: number;

beforeAll(async () => {
  tls = await startTlsStores();
  ({ certificates, stores, redisTlsPort } = tls);
});
afterAll(() => tls.close());

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
      redisPassword: null,
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
