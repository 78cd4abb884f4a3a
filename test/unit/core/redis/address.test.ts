import { expect, it } from "vitest";
import { type RedisAddressSettings, redisAddress } from "../../../../core/redis/address.js";

function addressOf(given: Partial<RedisAddressSettings>) {
  const settings = {
    redisUrl: "redis://:s3cret@cache:6379/2",
    redisPassword: null,
    redisTlsCaFile: null,
    redisTlsCertFile: null,
    redisTlsKeyFile: null,
    redisSentinels: null,
    redisSentinelMaster: "mymaster",
    redisSentinelPassword: null,
    ...given,
  };
  return redisAddress(settings, () => undefined);
}

it("redis:// has no TLS; rediss:// has, and tells the server which host is meant", () => {
  expect(addressOf({})).toEqual({ url: "redis://:s3cret@cache:6379/2", tls: null, sentinel: null });
  const { url, tls } = addressOf({ redisUrl: "rediss://:s3cret@cache:6380/2" });
  // ioredis would take `tls: true` from the URL over the certificates.
  expect(url).toBe("redis://:s3cret@cache:6380/2");
  expect(tls).toMatchObject({ servername: "cache" });
  expect(tls).not.toHaveProperty("rejectUnauthorized");
  for (const host of ["10.0.0.1", "[::1]"]) {
    expect(addressOf({ redisUrl: `rediss://${host}` }).tls).not.toHaveProperty("servername");
  }
});

it("a password beside the URL may have any characters; two are refused", () => {
  const redisPassword = `p@ss/w:rd#?%41+"'\\&= [x]`.replace(" ", "");
  for (const [redisUrl, username] of [
    ["redis://cache:6379/2", ""],
    ["rediss://ann@cache:6379/2", "ann"],
  ] as const) {
    const { url } = addressOf({ redisUrl, redisPassword });
    const parsed = new URL(url);
    expect([parsed.host, parsed.pathname, parsed.username]).toEqual(["cache:6379", "/2", username]);
    expect(decodeURIComponent(parsed.password)).toBe(redisPassword);
  }
  expect(() => addressOf({ redisPassword })).toThrow(
    /^REDIS_PASSWORD=\(not shown\): must not be set where REDIS_URL has a password$/,
  );
});

it("with sentinels the host is theirs to tell", () => {
  const redisSentinels = [{ host: "s1", port: 26379 }];
  const { tls, sentinel } = addressOf({
    redisUrl: "rediss://unused",
    redisSentinels,
    redisSentinelPassword: "p",
  });
  expect(tls).not.toHaveProperty("servername");
  expect(sentinel).toEqual({ hosts: redisSentinels, master: "mymaster", password: "p" });
});

it("refuses files that would not be used, and half a client certificate", () => {
  expect(() => addressOf({ redisTlsCaFile: "/ca" })).toThrow(
    /^REDIS_TLS_CA_FILE=\/ca: must not be set where REDIS_URL is redis:\/\/: TLS needs rediss:\/\//,
  );
  expect(() => addressOf({ redisUrl: "rediss://cache", redisTlsKeyFile: "/key" })).toThrow(
    /^REDIS_TLS_CERT_FILE is not set: must be set where REDIS_TLS_KEY_FILE is/,
  );
});
