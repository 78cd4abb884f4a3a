import {
  hostsAndPorts,
  integer,
  oneOf,
  path,
  sourceUrl,
  text,
  url,
  type ValueRange,
  webhookSecret,
} from "./value-range.js";

export type ProcessKind = "control-plane" | "worker";

/**
 * One environment variable: the source of parsing, errors, .env.example and docs. What holds where it isn't set:
 * `default`; null where `optional`; the process's name where `namesProcess`; otherwise the setting is required.
 */
export interface Setting<T = unknown> extends ValueRange<T> {
  name: string;
  description: string;
  processes: readonly ProcessKind[];
  unit: string;
  /** As text; by process where they differ. */
  default?: string | Readonly<Record<ProcessKind, string>>;
  optional?: true;
  /** What holds where an optional one isn't set, in words, if it isn't nothing. */
  otherwise?: string;
  /** The variable names a file itself, so that there is no NAME_FILE. */
  isPath?: true;
  namesProcess?: true;
  /** Errors and docs show no more of it than a URL without its password. */
  secret?: true;
}

const BOTH = ["control-plane", "worker"] as const;
const CONTROL_PLANE = ["control-plane"] as const;
const WORKER = ["worker"] as const;

/** What a worker or a replica may be called. */
const NAME = text(/^[A-Za-z0-9._-]{1,63}$/, "1 to 63 letters, digits, dots, dashes or underscores");

/** Every setting of the processes, in the order of .env.example. */
export const SETTINGS = {
  databaseUrl: {
    name: "DATABASE_URL",
    description: "Postgres (14 or later) that holds work_items.",
    processes: BOTH,
    unit: "URL",
    ...url("postgres:", "postgresql:"),
    secret: true,
  },
  redisUrl: {
    name: "REDIS_URL",
    description: "Redis (6 or later) or Valkey, for heartbeats and hints.",
    processes: BOTH,
    unit: "URL",
    ...url("redis:", "rediss:"),
    secret: true,
  },
  redisPassword: {
    name: "REDIS_PASSWORD",
    description:
      "Password of Redis as it is, where REDIS_URL has none: with characters that a URL can't have.",
    processes: BOTH,
    unit: "text",
    ...text(/^[\x21-\x7e]{1,512}$/, "1 to 512 visible ASCII characters"),
    optional: true,
    secret: true,
  },
  pgSslMode: {
    name: "PG_SSL_MODE",
    description:
      "TLS to Postgres, as libpq has it; verify-ca, and require with a CA file, take any host name.",
    processes: BOTH,
    unit: "choice",
    ...oneOf(["disable", "require", "verify-ca", "verify-full"]),
    optional: true,
    otherwise: "sslmode in DATABASE_URL, else verify-full with a file of those below, else disable",
  },
  pgSslCaFile: {
    name: "PG_SSL_CA_FILE",
    description:
      "CA of Postgres's certificate, in PEM; without it the CAs that Node.js knows. Read at each connect.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  pgSslCertFile: {
    name: "PG_SSL_CERT_FILE",
    description: "Client certificate for Postgres, in PEM.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  pgSslKeyFile: {
    name: "PG_SSL_KEY_FILE",
    description: "Private key of PG_SSL_CERT_FILE, in PEM, without a passphrase.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  redisTlsCaFile: {
    name: "REDIS_TLS_CA_FILE",
    description: "CA of Redis's certificate (rediss://), in PEM; without it the CAs that Node.js knows.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  redisTlsCertFile: {
    name: "REDIS_TLS_CERT_FILE",
    description: "Client certificate for Redis, in PEM.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  redisTlsKeyFile: {
    name: "REDIS_TLS_KEY_FILE",
    description: "Private key of REDIS_TLS_CERT_FILE, in PEM, without a passphrase.",
    processes: BOTH,
    ...path(),
    optional: true,
  },
  redisSentinels: {
    name: "REDIS_SENTINELS",
    description: "Redis Sentinels that tell the master; host and port of REDIS_URL aren't used then.",
    processes: BOTH,
    unit: "addresses",
    ...hostsAndPorts(26379),
    optional: true,
  },
  redisSentinelMaster: {
    name: "REDIS_SENTINEL_MASTER",
    description: "Name of the master that the sentinels watch.",
    processes: BOTH,
    unit: "name",
    ...text(/^[A-Za-z0-9._-]{1,128}$/, "1 to 128 letters, digits, dots, dashes or underscores"),
    default: "mymaster",
  },
  redisSentinelPassword: {
    name: "REDIS_SENTINEL_PASSWORD",
    description: "Password of the sentinels themselves.",
    processes: BOTH,
    unit: "text",
    ...text(/^[\x21-\x7e]{1,512}$/, "1 to 512 visible ASCII characters"),
    optional: true,
    secret: true,
  },
  host: {
    name: "HOST",
    description: "Address to listen on; 0.0.0.0 or :: for all of this machine's.",
    processes: BOTH,
    unit: "address",
    ...text(/^[0-9A-Za-z.:-]{1,253}$/, "an IP address or a host name"),
    default: "127.0.0.1",
  },
  port: {
    name: "PORT",
    description: "Port to listen on; 0 takes any free one.",
    processes: BOTH,
    unit: "port",
    ...integer(0, 65_535),
    default: { "control-plane": "8080", worker: "9090" },
  },
  apiToken: {
    name: "API_TOKEN",
    description: "Bearer token of the control plane's API.",
    processes: BOTH,
    unit: "text",
    ...text(/^[\x21-\x7e]{8,256}$/, "8 to 256 visible ASCII characters"),
    optional: true,
    secret: true,
  },
  allowAnonymousWrites: {
    name: "ALLOW_ANONYMOUS_WRITES",
    description:
      "Lets a control plane listen beyond loopback without API_TOKEN: whoever reaches it may change it.",
    processes: CONTROL_PLANE,
    unit: "choice",
    ...oneOf(["true", "false"]),
    default: "false",
  },
  webhookSecret: {
    name: "WEBHOOK_SECRET",
    description:
      "What senders of POST /v1/webhooks/config sign with (Standard Webhooks); none switches it off.",
    processes: CONTROL_PLANE,
    unit: "text",
    ...webhookSecret(),
    optional: true,
    secret: true,
  },
  webhookSecretPrevious: {
    name: "WEBHOOK_SECRET_PREVIOUS",
    description: "The secret before WEBHOOK_SECRET, taken as well while senders change over.",
    processes: CONTROL_PLANE,
    unit: "text",
    ...webhookSecret(),
    optional: true,
    secret: true,
  },
  configSourceUrl: {
    name: "CONFIG_SOURCE_URL",
    description: "Where the config is fetched from when a webhook only says that something changed.",
    processes: CONTROL_PLANE,
    unit: "URL",
    ...sourceUrl(),
    optional: true,
    secret: true,
  },
  configSourceToken: {
    name: "CONFIG_SOURCE_TOKEN",
    description: "Bearer token sent to CONFIG_SOURCE_URL.",
    processes: CONTROL_PLANE,
    unit: "text",
    ...text(/^[\x21-\x7e]{1,1024}$/, "1 to 1024 visible ASCII characters"),
    optional: true,
    secret: true,
  },
  configSourceAllowPrivate: {
    name: "CONFIG_SOURCE_ALLOW_PRIVATE",
    description: "Lets the host of CONFIG_SOURCE_URL be at a private address (10.…, 192.168.…, fc00:…).",
    processes: CONTROL_PLANE,
    unit: "choice",
    ...oneOf(["true", "false"]),
    default: "false",
  },
  heartbeatMs: {
    name: "HEARTBEAT_MS",
    description: "Time between two heartbeats of a worker; the same in every process of a fleet.",
    processes: BOTH,
    unit: "milliseconds",
    ...integer(50, 10_000),
    default: "500",
  },
  redisKeyPrefix: {
    name: "REDIS_KEY_PREFIX",
    description: "Put before every key and channel, for fleets that share a Redis.",
    processes: BOTH,
    unit: "text",
    ...text(/^[A-Za-z0-9._:/-]{0,64}$/, "up to 64 letters, digits and . _ : / -"),
    default: "",
  },
  pgSchema: {
    name: "PG_SCHEMA",
    description: "Schema that holds the tables.",
    processes: BOTH,
    unit: "name",
    ...text(
      /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/,
      "1 to 63 lower-case letters, digits and underscores, starting with none of a digit and pg_",
    ),
    default: "public",
  },
  pgPoolSize: {
    name: "PG_POOL_SIZE",
    description: "Most connections of the Postgres pool; a worker has one more, for its ticks.",
    processes: BOTH,
    unit: "connections",
    ...integer(1, 100),
    default: { "control-plane": "5", worker: "3" },
  },
  logLevel: {
    name: "LOG_LEVEL",
    description: "What is logged: this level and those above it.",
    processes: BOTH,
    unit: "level",
    ...oneOf(["fatal", "error", "warn", "info", "debug", "trace", "silent"]),
    default: "info",
  },
  replicaName: {
    name: "REPLICA_NAME",
    description: "Name of this control-plane replica.",
    processes: CONTROL_PLANE,
    unit: "name",
    ...NAME,
    namesProcess: true,
  },
  deadAfterMs: {
    name: "DEAD_AFTER_MS",
    description: "Silence after which a worker whose rows stand still is dead; at least 3 × HEARTBEAT_MS.",
    processes: CONTROL_PLANE,
    unit: "milliseconds",
    ...integer(150, 60_000),
    default: "1500",
  },
  leaseTtlMs: {
    name: "LEASE_TTL_MS",
    description: "Time after which the leader's lease ends unless it is renewed.",
    processes: CONTROL_PLANE,
    unit: "milliseconds",
    ...integer(500, 60_000),
    default: "3000",
  },
  joinSettleMs: {
    name: "JOIN_SETTLE_MS",
    description: "Newcomers are seated once no other has come for this long, so that many share one view.",
    processes: CONTROL_PLANE,
    unit: "milliseconds",
    ...integer(0, 60_000),
    default: "1000",
  },
  replaceSettleMs: {
    name: "REPLACE_SETTLE_MS",
    description: "In a rollout a newcomer waits up to this long for the leaver whose seat it takes.",
    processes: CONTROL_PLANE,
    unit: "milliseconds",
    ...integer(0, 600_000),
    default: "30000",
  },
  workerName: {
    name: "WORKER_NAME",
    description: "Name of this worker. Where two have the same, the one that started last goes on.",
    processes: WORKER,
    unit: "name",
    ...NAME,
    namesProcess: true,
  },
  workerRevision: {
    name: "WORKER_REVISION",
    description:
      "What this worker was deployed from; in a rollout a new revision takes over the old one's seats.",
    processes: WORKER,
    unit: "name",
    ...text(/^[A-Za-z0-9._:@/+-]{0,128}$/, "up to 128 letters, digits and . _ : @ / + -"),
    default: "",
  },
  workerWeight: {
    name: "WORKER_WEIGHT",
    description: "Share of the rows, against the other workers' weights.",
    processes: WORKER,
    unit: "share",
    ...integer(1, 100),
    default: "1",
  },
  workerAddress: {
    name: "WORKER_ADDRESS",
    description: "URL under which others reach this worker, where it isn't http://HOST:PORT.",
    processes: WORKER,
    unit: "URL",
    ...url("http:", "https:"),
    optional: true,
  },
  controlPlaneUrl: {
    name: "CONTROL_PLANE_URL",
    description: "Where a worker sends its events.",
    processes: WORKER,
    unit: "URL",
    ...url("http:", "https:"),
    optional: true,
  },
  drainTimeoutMs: {
    name: "DRAIN_TIMEOUT_MS",
    description: "After SIGTERM a worker works on until its slice is handed over, at most this long.",
    processes: WORKER,
    unit: "milliseconds",
    ...integer(0, 600_000),
    default: "25000",
  },
  sliceLogLimit: {
    name: "SLICE_LOG_LIMIT",
    description: "Up to this many rows a worker prints each second which ids it watches; beyond, a summary.",
    processes: WORKER,
    unit: "rows",
    ...integer(0, 10_000),
    default: "100",
  },
} satisfies Record<string, Setting>;

type Table = typeof SETTINGS;

type ValueOf<Entry> =
  Entry extends ValueRange<infer T> ? (Entry extends { optional: true } ? T | null : T) : never;

/** The parsed settings of a process. */
export type SettingsOf<Kind extends ProcessKind> = {
  readonly [Key in keyof Table as Kind extends Table[Key]["processes"][number] ? Key : never]: ValueOf<
    Table[Key]
  >;
};
