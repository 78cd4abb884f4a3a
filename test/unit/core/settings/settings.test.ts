import { describe, expect, it } from "vitest";
import { parseControlPlaneSettings, parseWorkerSettings } from "../../../../core/settings/settings.js";
import { SettingsError } from "../../../../core/settings/settings-error.js";

const STORES = { DATABASE_URL: "postgres://ann:s3cret@db/rows", REDIS_URL: "redis://:s3cret@cache" };
const STORE_DEFAULTS = {
  pgSslMode: null,
  pgSslCaFile: null,
  pgSslCertFile: null,
  pgSslKeyFile: null,
  redisPassword: null,
  redisTlsCaFile: null,
  redisTlsCertFile: null,
  redisTlsKeyFile: null,
  redisSentinels: null,
  redisSentinelMaster: "mymaster",
  redisSentinelPassword: null,
};

function workerError(env: Record<string, string>, files: Record<string, string> = {}): SettingsError {
  return errorOf(() => parseWorkerSettings({ ...STORES, ...env }, fileReader(files)));
}

function errorOf(parse: () => unknown): SettingsError {
  try {
    parse();
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

function fileReader(files: Record<string, string>) {
  return (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    return text;
  };
}

describe("defaults", () => {
  it("are complete for a worker", () => {
    expect(parseWorkerSettings({ ...STORES, WORKER_NAME: "w1" })).toEqual({
      databaseUrl: STORES.DATABASE_URL,
      redisUrl: STORES.REDIS_URL,
      ...STORE_DEFAULTS,
      host: "127.0.0.1",
      port: 9090,
      apiToken: null,
      heartbeatMs: 500,
      redisKeyPrefix: "",
      pgSchema: "public",
      pgPoolSize: 3,
      logLevel: "info",
      workerName: "w1",
      workerRevision: "",
      workerWeight: 1,
      workerAddress: null,
      controlPlaneUrl: null,
      drainTimeoutMs: 25_000,
      sliceLogLimit: 100,
    });
  });

  it("are complete for a control plane", () => {
    expect(parseControlPlaneSettings({ ...STORES, REPLICA_NAME: "cp1" })).toEqual({
      databaseUrl: STORES.DATABASE_URL,
      redisUrl: STORES.REDIS_URL,
      ...STORE_DEFAULTS,
      host: "127.0.0.1",
      port: 8080,
      allowAnonymousWrites: "false",
      apiToken: null,
      webhookSecret: null,
      webhookSecretPrevious: null,
      configSourceUrl: null,
      configSourceToken: null,
      configSourceAllowPrivate: "false",
      heartbeatMs: 500,
      redisKeyPrefix: "",
      pgSchema: "public",
      pgPoolSize: 5,
      logLevel: "info",
      replicaName: "cp1",
      deadAfterMs: 1500,
      leaseTtlMs: 3000,
      joinSettleMs: 1000,
      replaceSettleMs: 30_000,
    });
  });

  it("name a process by its pod, else by host and pid", () => {
    expect(parseWorkerSettings({ ...STORES, POD_NAME: "pod-7" }).workerName).toBe("pod-7");
    expect(parseWorkerSettings({ ...STORES, POD_NAME: "pod-7", WORKER_NAME: "w" }).workerName).toBe("w");
    expect(parseControlPlaneSettings(STORES).replicaName).toMatch(
      new RegExp(`^[A-Za-z0-9._-]{1,50}-${process.pid}$`),
    );
  });

  it("hold where a variable is empty", () => {
    const settings = parseWorkerSettings({ ...STORES, PORT: "", API_TOKEN: "", WORKER_WEIGHT: "" });
    expect(settings).toMatchObject({ port: 9090, apiToken: null, workerWeight: 1 });
  });

  it("can't be changed afterwards", () => {
    expect(Object.isFrozen(parseWorkerSettings(STORES))).toBe(true);
  });
});

describe("whole numbers", () => {
  it.each(["1e3", "5.5", " 500 ", "500ms", "0500", "+500", "-500", "0x1f4", "49", "10001", "99999999999"])(
    "refuse HEARTBEAT_MS=%j",
    (text) => {
      const error = workerError({ HEARTBEAT_MS: text });
      expect(error).toMatchObject({ variable: "HEARTBEAT_MS", exitCode: 2 });
      expect(error.allowed).toBe("must be a whole number from 50 to 10000");
    },
  );

  it.each([
    ["50", 50],
    ["10000", 10_000],
  ])("take HEARTBEAT_MS=%j", (text, value) => {
    expect(parseWorkerSettings({ ...STORES, HEARTBEAT_MS: text }).heartbeatMs).toBe(value);
  });

  it("take port 0", () => {
    expect(parseWorkerSettings({ ...STORES, PORT: "0" }).port).toBe(0);
  });
});

describe("texts", () => {
  it.each([
    ["PG_SCHEMA", "Public"],
    ["PG_SCHEMA", 'a"; drop table work_items'],
    ["PG_SCHEMA", "pg_mine"],
    ["PG_SCHEMA", "1st"],
    ["WORKER_NAME", "a".repeat(64)],
    ["WORKER_NAME", "a worker"],
    ["WORKER_NAME", "w1\n"],
    ["REDIS_KEY_PREFIX", "fleet {1}"],
    ["REDIS_KEY_PREFIX", "x".repeat(65)],
    ["LOG_LEVEL", "loud"],
    ["CONTROL_PLANE_URL", "ftp://plane"],
    ["CONTROL_PLANE_URL", "plane"],
    ["API_TOKEN", "short"],
  ])("refuse %s=%j", (name, value) => {
    expect(workerError({ [name]: value }).variable).toBe(name);
  });

  it("refuse a pod name that can't be a worker's", () => {
    expect(workerError({ POD_NAME: "a/b" }).message).toMatch(/^POD_NAME=a\/b: must be 1 to 63 letters/);
  });
});

describe("files", () => {
  it("hold a value, with or without a newline at the end", () => {
    const files = { "/run/token": "long-enough\n", "/run/port": "7000\r\n", "/run/db": "postgres://db/x" };
    const env = { REDIS_URL: "redis://cache", API_TOKEN_FILE: "/run/token", PORT_FILE: "/run/port" };
    const settings = parseWorkerSettings({ ...env, DATABASE_URL_FILE: "/run/db" }, fileReader(files));
    expect(settings).toMatchObject({ apiToken: "long-enough", port: 7000, databaseUrl: "postgres://db/x" });
  });

  it("are refused beside the variable itself", () => {
    const { message } = workerError({ PORT: "1", PORT_FILE: "/run/port" }, { "/run/port": "1" });
    expect(message).toBe("PORT=1: must not be set together with PORT_FILE");
  });

  it("are refused where they can't be read, or are empty", () => {
    expect(workerError({ API_TOKEN_FILE: "/run/none" }).message).toBe(
      "API_TOKEN_FILE=/run/none: must name a readable file (ENOENT)",
    );
    expect(workerError({ API_TOKEN_FILE: "/run/token" }, { "/run/token": "\n" }).message).toBe(
      "API_TOKEN_FILE=/run/token: must name a file that isn't empty",
    );
  });

  it("are named where what they hold is wrong", () => {
    expect(workerError({ PORT_FILE: "/run/port" }, { "/run/port": "http\n" }).message).toBe(
      "PORT=http (from /run/port): must be a whole number from 0 to 65535",
    );
  });
});

describe("errors", () => {
  it("tell the first problem and count the others, in one line", () => {
    const error = errorOf(() => parseWorkerSettings({ PORT: "a\nb" }));
    expect(error.message).toBe(
      "DATABASE_URL is not set: must be a URL that starts with postgres:// or postgresql:// (and 2 more)",
    );
    expect(error.problems.map(({ name, value }) => [name, value])).toEqual([
      ["DATABASE_URL", null],
      ["REDIS_URL", null],
      ["PORT", '"a\\nb"'],
    ]);
  });

  it.each([
    ["mysql://ann:s3cret@db:1/rows?password=s3cret", "mysql://ann:***@db:1/rows"],
    ["mysql://:s3cret@db", "mysql://:***@db"],
    ["mysql://db/rows", "mysql://db/rows"],
    ["ann:s3cret@db/rows", "(not shown)"],
    ["mysql://ann:1/s3cret@db/rows", "(not shown)"],
    ["postgres://ann:s3cret@db:port/rows", "(not shown)"],
    ["postgres://ann:s3cret @db/rows", "postgres://ann:***@db/rows"],
    ["s3cret", "(not shown)"],
  ])("show no password of DATABASE_URL=%s", (url, shown) => {
    const error = workerError({ DATABASE_URL: url });
    expect(error.message).not.toContain("s3cret");
    expect(error.value).toBe(shown);
  });

  it("show nothing of a token", () => {
    const error = workerError({ API_TOKEN: "s3cret!" });
    expect(error.message).toBe("API_TOKEN=(not shown): must be 8 to 256 visible ASCII characters");
  });

  it("cut long values short", () => {
    expect(workerError({ PORT: "9".repeat(500) }).message.length).toBeLessThan(200);
  });
});

describe("cross-checks", () => {
  it("want three heartbeats before a death", () => {
    const parse = (heartbeatMs: string, deadAfterMs: string) => () =>
      parseControlPlaneSettings({ ...STORES, HEARTBEAT_MS: heartbeatMs, DEAD_AFTER_MS: deadAfterMs });
    expect(errorOf(parse("500", "900")).message).toBe(
      "DEAD_AFTER_MS=900: must be at least 3 × HEARTBEAT_MS (1500)",
    );
    expect(parse("500", "1500")()).toMatchObject({ heartbeatMs: 500, deadAfterMs: 1500 });
    expect(parse("50", "150")()).toMatchObject({ heartbeatMs: 50, deadAfterMs: 150 });
    expect(errorOf(parse("600", "")).message).toMatch(/^DEAD_AFTER_MS=1500: .*\(1800\)$/);
  });

  it("say nothing of settings that are wrong by themselves", () => {
    const error = errorOf(() =>
      parseControlPlaneSettings({ ...STORES, HEARTBEAT_MS: "x", DEAD_AFTER_MS: "150" }),
    );
    expect(error.problems.map(({ name }) => name)).toEqual(["HEARTBEAT_MS"]);
  });
});

describe("paths and addresses", () => {
  const files = fileReader({ "/run/path": "/etc/ca.crt" });

  it("a setting that is a path has no _FILE of its own", () => {
    const env = { ...STORES, PG_SSL_CA_FILE: "/etc/ca.crt", REDIS_TLS_CA_FILE_FILE: "/run/path" };
    expect(parseWorkerSettings(env, files)).toMatchObject({
      pgSslCaFile: "/etc/ca.crt",
      redisTlsCaFile: null,
    });
  });

  it("sentinels are hosts with ports, IPv6 in brackets", () => {
    const env = { ...STORES, REDIS_SENTINELS: "s1:26380, s2,[fd00::1]:7,[::1]" };
    expect(parseWorkerSettings(env).redisSentinels).toEqual([
      { host: "s1", port: 26380 },
      { host: "s2", port: 26379 },
      { host: "fd00::1", port: 7 },
      { host: "::1", port: 26379 },
    ]);
    for (const wrong of ["s1:0", "s1:70000", "s1,,s2", "fd00::1:26379", "redis://s1", "s1 s2"]) {
      expect(() => parseWorkerSettings({ ...STORES, REDIS_SENTINELS: wrong })).toThrow(
        /REDIS_SENTINELS=.*: must be/,
      );
    }
  });
});
