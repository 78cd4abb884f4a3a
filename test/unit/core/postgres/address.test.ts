import { describe, expect, it } from "vitest";
import {
  type PostgresAddressSettings,
  postgresAddress,
  urlWithTls,
} from "../../../../core/postgres/address.js";

const DB = "postgres://ann:s%20cret@db.example:6432/rows";

function settings(given: Partial<PostgresAddressSettings>): PostgresAddressSettings {
  const none = { pgSslMode: null, pgSslCaFile: null, pgSslCertFile: null, pgSslKeyFile: null };
  return { databaseUrl: DB, ...none, ...given };
}

function addressOf(given: Partial<PostgresAddressSettings>) {
  return postgresAddress(settings(given), () => undefined);
}

describe("postgresAddress", () => {
  it("leaves a URL alone that says nothing of TLS, also its odd spellings", () => {
    for (const url of [DB, "postgres://db/x?application_name=a+b", "postgresql://ann:%zz@db/x"]) {
      expect(addressOf({ databaseUrl: url })).toEqual({ url });
    }
  });

  it("takes TLS out of the URL, which pg would believe over everything else", () => {
    const { url, ssl } = addressOf({
      databaseUrl: `${DB}?sslmode=verify-full&uselibpqcompat=true&keepalives=1`,
    });
    expect(url).toBe(`${DB}?keepalives=1`);
    expect(ssl).toMatchObject({ rejectUnauthorized: true });
    expect(ssl).not.toHaveProperty("checkServerIdentity");
  });

  it.each([
    ["disable", "sslmode=verify-full"],
    [null, "sslmode=disable"],
    [null, "ssl=false"],
    ["verify-full", "host=%2Frun%2Fpostgresql"],
  ] as const)("switches TLS off with PG_SSL_MODE %s and ?%s", (pgSslMode, query) => {
    expect(addressOf({ pgSslMode, databaseUrl: `${DB}?${query}` })).toMatchObject({ ssl: false });
  });

  it.each([
    ["require", ""],
    [null, "?sslmode=require"],
    [null, "?sslmode=no-verify"],
    ["require", "?sslmode=verify-full"],
  ] as const)(
    "believes anyone with PG_SSL_MODE %s and %s, as libpq does without a CA",
    (pgSslMode, query) => {
      const { ssl } = addressOf({ pgSslMode, databaseUrl: `${DB}${query}` });
      expect(ssl).toMatchObject({ rejectUnauthorized: false });
    },
  );

  it.each([
    [
      { databaseUrl: `${DB}?sslmode=prefer` },
      /^DATABASE_URL's sslmode=prefer: must be one of disable, require/,
    ],
    [{ databaseUrl: `${DB}?sslmode=toString` }, /sslmode=toString: must be one of/],
    [{ databaseUrl: `${DB}?ssl=maybe` }, /^DATABASE_URL's ssl=maybe: must be/],
    [
      { pgSslMode: "verify-ca" as const },
      /^PG_SSL_CA_FILE is not set: must be set where PG_SSL_MODE is verify-ca/,
    ],
    [{ pgSslMode: "disable" as const, pgSslCaFile: "/ca" }, /^PG_SSL_CA_FILE=\/ca: must not be set where/],
    [{ pgSslCertFile: "/cert" }, /^PG_SSL_KEY_FILE is not set: must be set where PG_SSL_CERT_FILE is/],
    [{ pgSslKeyFile: "/key" }, /^PG_SSL_CERT_FILE is not set: must be set where PG_SSL_KEY_FILE is/],
    [{ databaseUrl: `${DB}?sslcert=/cert` }, /^DATABASE_URL's sslkey is not set: must be/],
    [
      { pgSslCaFile: "/no/such/file" },
      /^PG_SSL_CA_FILE=\/no\/such\/file: must name a readable file \(ENOENT\)/,
    ],
    [
      { databaseUrl: `${DB}?sslrootcert=/no/ca` },
      /^DATABASE_URL's sslrootcert=\/no\/ca: must name a readable/,
    ],
  ])("refuses %j", (given, message) => {
    expect(() => addressOf(given)).toThrow(message);
    expect(() => addressOf(given)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

describe("urlWithTls", () => {
  it("says in one URL what the settings say, for libpq as well", () => {
    expect(urlWithTls(settings({}))).toBe(DB);
    expect(urlWithTls(settings({ pgSslMode: "disable", databaseUrl: `${DB}?ssl=true` }))).toBe(
      `${DB}?sslmode=disable`,
    );
    expect(urlWithTls(settings({ pgSslCaFile: "/ca.crt" }))).toBe(
      `${DB}?sslmode=verify-full&sslrootcert=%2Fca.crt`,
    );
    const kept = settings({ pgSslCaFile: "/ca.crt", databaseUrl: `${DB}?sslmode=verify-ca` });
    expect(urlWithTls(kept)).toBe(`${DB}?sslmode=verify-ca&sslrootcert=%2Fca.crt`);
  });
});
