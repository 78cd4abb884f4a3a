import { z } from "zod";

export type ProcessKind = "control-plane" | "worker";

/** One environment variable: the source of parsing, errors, .env.example and docs. */
export interface Setting {
  name: string;
  description: string;
  processes: readonly ProcessKind[];
  /** Unit of the value, for people. */
  unit: string;
  /** What is allowed, for people. */
  range: string;
  /** Text of the default, or null where there is none; `required` says whether one must then be set. */
  default: string | null;
  required?: boolean;
  secret?: boolean;
  schema: z.ZodType<unknown, string>;
}

const BOTH = ["control-plane", "worker"] as const;
const PLANE = ["control-plane"] as const;
const WORKER = ["worker"] as const;

function integer(min: number, max: number): Pick<Setting, "schema" | "range"> {
  const schema = z
    .string()
    .regex(/^-?\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);
  return { schema, range: `a whole number from ${min} to ${max}` };
}

function text(pattern: RegExp, range: string): Pick<Setting, "schema" | "range"> {
  return { schema: z.string().regex(pattern), range };
}

function url(protocols: readonly string[]): Pick<Setting, "schema" | "range"> {
  const schema = z.string().refine((value) => {
    return URL.canParse(value) && protocols.includes(new URL(value).protocol);
  });
  return { schema, range: `a URL that starts with ${protocols.map((p) => `${p}//`).join(" or ")}` };
}

const NAME = text(/^[A-Za-z0-9._-]{1,63}$/, "1 to 63 letters, digits, dots, dashes or underscores");

/** Every setting of the processes, in the order of .env.example. */
export const SETTINGS: readonly Setting[] = [
  {
    name: "DATABASE_URL",
    description: "Postgres (14 or later) that holds work_items.",
    processes: BOTH,
    unit: "URL",
    ...url(["postgres:", "postgresql:"]),
    default: null,
    required: true,
    secret: true,
  },
  {
    name: "REDIS_URL",
    description: "Redis (6 or later) or Valkey: heartbeats and hints.",
    processes: BOTH,
    unit: "URL",
    ...url(["redis:", "rediss:"]),
    default: null,
    required: true,
    secret: true,
  },
  {
    name: "HOST",
    description: "Address to listen on.",
    processes: BOTH,
    unit: "address",
    ...text(/^[0-9A-Za-z.:-]{1,253}$/, "an IP address or host name"),
    default: "127.0.0.1",
  },
  {
    name: "PORT",
    description: "Port to listen on; 0 takes any free one. Default: 8080 (control plane), 9090 (worker).",
    processes: BOTH,
    unit: "port",
    ...integer(0, 65_535),
    default: null,
  },
  {
    name: "WORKER_NAME",
    description:
      "Name of this worker; else POD_NAME, else host name and pid. Two at once: the newer one stays.",
    processes: WORKER,
    unit: "name",
    ...NAME,
    default: null,
  },
  {
    name: "WORKER_REVISION",
    description:
      "What this worker was deployed from; during a rollout a newcomer takes its predecessor's seat.",
    processes: WORKER,
    unit: "name",
    ...text(/^[A-Za-z0-9._:@/-]{0,128}$/, "up to 128 letters, digits and . _ : @ / -"),
    default: "",
  },
  {
    name: "WORKER_WEIGHT",
    description: "Share of the rows, against the other workers' weights.",
    processes: WORKER,
    unit: "share",
    ...integer(1, 100),
    default: "1",
  },
  {
    name: "WORKER_ADDRESS",
    description: "URL under which others reach this worker; else http://HOST:PORT.",
    processes: WORKER,
    unit: "URL",
    ...url(["http:", "https:"]),
    default: null,
  },
  {
    name: "REPLICA_NAME",
    description: "Name of this control-plane replica; else POD_NAME, else host name and pid.",
    processes: PLANE,
    unit: "name",
    ...NAME,
    default: null,
  },
  {
    name: "CONTROL_PLANE_URL",
    description: "Where workers send their events.",
    processes: WORKER,
    unit: "URL",
    ...url(["http:", "https:"]),
    default: null,
  },
  {
    name: "API_TOKEN",
    description: "Bearer token of the control plane's API.",
    processes: BOTH,
    unit: "text",
    ...text(/^[\x21-\x7e]{8,256}$/, "8 to 256 visible ASCII characters"),
    default: null,
    secret: true,
  },
  {
    name: "HEARTBEAT_MS",
    description: "Time between two heartbeats of a worker. The same for all processes of a fleet.",
    processes: BOTH,
    unit: "milliseconds",
    ...integer(50, 10_000),
    default: "500",
  },
  {
    name: "DEAD_AFTER_MS",
    description: "Silence after which a worker whose rows stand still is dead; at least 3 × HEARTBEAT_MS.",
    processes: PLANE,
    unit: "milliseconds",
    ...integer(150, 60_000),
    default: "1500",
  },
  {
    name: "LEASE_TTL_MS",
    description: "Time after which the leader's lease ends unless it is renewed.",
    processes: PLANE,
    unit: "milliseconds",
    ...integer(500, 60_000),
    default: "3000",
  },
  {
    name: "JOIN_SETTLE_MS",
    description: "Newcomers are seated once no other has come for this long, so that many share one view.",
    processes: PLANE,
    unit: "milliseconds",
    ...integer(0, 60_000),
    default: "1000",
  },
  {
    name: "REPLACE_SETTLE_MS",
    description: "During a rollout a newcomer waits this long for the leaver whose seat it takes.",
    processes: PLANE,
    unit: "milliseconds",
    ...integer(0, 600_000),
    default: "30000",
  },
  {
    name: "DRAIN_TIMEOUT_MS",
    description: "After SIGTERM a worker works on until its slice is handed over, at most this long.",
    processes: WORKER,
    unit: "milliseconds",
    ...integer(0, 600_000),
    default: "25000",
  },
  {
    name: "SLICE_LOG_LIMIT",
    description: "Up to this many ids a worker prints each second what it watches; beyond, a summary.",
    processes: WORKER,
    unit: "ids",
    ...integer(0, 10_000),
    default: "100",
  },
  {
    name: "REDIS_KEY_PREFIX",
    description: "Put before every key and channel, for fleets that share a Redis.",
    processes: BOTH,
    unit: "text",
    ...text(/^[A-Za-z0-9._:-]{0,64}$/, "up to 64 letters, digits and . _ : -"),
    default: "",
  },
  {
    name: "PG_SCHEMA",
    description: "Schema that holds the tables.",
    processes: BOTH,
    unit: "name",
    ...text(/^[a-z_][a-z0-9_]{0,62}$/, "a lower-case identifier of up to 63 characters"),
    default: "public",
  },
  {
    name: "PG_POOL_SIZE",
    description:
      "Connections to Postgres, beside a worker's one for its ticks. Default: 2 (worker), 5 (control plane).",
    processes: BOTH,
    unit: "connections",
    ...integer(1, 100),
    default: null,
  },
  {
    name: "LOG_LEVEL",
    description: "What is logged.",
    processes: BOTH,
    unit: "level",
    ...text(
      /^(fatal|error|warn|info|debug|trace|silent)$/,
      "one of fatal, error, warn, info, debug, trace, silent",
    ),
    default: "info",
  },
];
