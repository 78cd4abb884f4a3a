import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { findFreePort } from "../../cli/stores/free-port.js";
import { type RedisServer, startRedis } from "../../cli/stores/redis-server.js";
import { type ServerProcess, spawnServer, stopServer } from "../../cli/stores/server-process.js";
import type { Certificate } from "./certificates.js";
import { waitFor } from "./fleet.js";
import { withRedis } from "./store-clients.js";

const PASSWORD = "of-the-sentinels";

/** A master, a replica and three sentinels, all real and on this machine. */
export interface SentinelSet {
  /** What a fleet is given. */
  env: Record<string, string>;
  master: RedisServer;
  replica: RedisServer;
  sentinels: readonly ServerProcess[];
  /** Port (by TLS where there is TLS) of the master, as the sentinels tell it. */
  masterPort(): Promise<number>;
  close(): Promise<void>;
}

export interface SentinelTls {
  caFile: string;
  server: Certificate;
}

interface Node {
  server: RedisServer;
  /** The one that sentinels and clients use. */
  port: number;
}

/** With `tls`, clients, replicas and sentinels all speak TLS among themselves; three sentinels have a majority. */
export async function startSentinelSet(tls: SentinelTls | null, count: 1 | 3 = 3): Promise<SentinelSet> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-sentinel-"));
  const files = tls === null ? {} : tlsSettings(tls);
  const startNode = async (name: string, more: Record<string, string>): Promise<Node> => {
    const tlsPort = await findFreePort();
    const settings = tls === null ? more : { ...more, ...files, "tls-port": String(tlsPort) };
    const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, ...value.split(" ")]);
    const server = await startRedis({ dir: join(folder, name), args, log: () => undefined });
    return { server, port: tls === null ? server.port : tlsPort };
  };
  const master = await startNode("master", {});
  const replica = await startNode("replica", { replicaof: `127.0.0.1 ${master.port}` });
  await waitFor(
    "the replica to follow",
    () =>
      withRedis(replica.server.url, async (redis) => /link_status:up/.test(await redis.info("replication"))),
    10_000,
  );
  const ports: number[] = [];
  while (ports.length < count) ports.push(await findFreePort());
  const sentinels = await Promise.all(ports.map((port) => startSentinel(folder, port, master.port, files)));
  const ask = async <T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = sentinelClient(port, tls);
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  };
  for (const port of ports) {
    const knowsAll = async (redis: Redis) => {
      const reply = (await redis.call("SENTINEL", "MASTER", "fleet-redis")) as string[];
      const told = (name: string) => Number(reply[reply.indexOf(name) + 1]);
      return told("num-slaves") === 1 && told("num-other-sentinels") === count - 1;
    };
    await waitFor(`sentinel ${port} to know all`, () => ask(port, knowsAll), 15_000);
  }
  return {
    env: {
      REDIS_URL: `${tls === null ? "redis" : "rediss"}://unused.invalid:1`,
      REDIS_SENTINELS: ports.map((port) => `127.0.0.1:${port}`).join(),
      REDIS_SENTINEL_MASTER: "fleet-redis",
      REDIS_SENTINEL_PASSWORD: PASSWORD,
    },
    master: master.server,
    replica: replica.server,
    sentinels,
    masterPort: () =>
      ask(ports.at(-1) ?? 0, async (redis) => {
        const [, port] = (await redis.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "fleet-redis")) as string[];
        return Number(port);
      }),
    close: async () => {
      for (const sentinel of sentinels) await stopServer(sentinel, [{ signal: "SIGKILL", withinMs: 3000 }]);
      await Promise.all([replica.server.stop(), master.server.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function tlsSettings({ caFile, server }: SentinelTls): Record<string, string> {
  return {
    "tls-cert-file": server.cert,
    "tls-key-file": server.key,
    "tls-ca-cert-file": caFile,
    "tls-auth-clients": "optional",
    "tls-replication": "yes",
  };
}

async function startSentinel(
  folder: string,
  port: number,
  masterPort: number,
  files: Record<string, string>,
): Promise<ServerProcess> {
  const hasTls = "tls-cert-file" in files;
  const lines = [
    "bind 127.0.0.1",
    hasTls ? `port 0\ntls-port ${port}` : `port ${port}`,
    ...Object.entries(files).map(([name, value]) => `${name} ${value}`),
    `dir ${folder}`,
    `requirepass ${PASSWORD}`,
    `sentinel sentinel-pass ${PASSWORD}`,
    `sentinel monitor fleet-redis 127.0.0.1 ${masterPort} 2`,
    "sentinel down-after-milliseconds fleet-redis 500",
    "sentinel failover-timeout fleet-redis 3000",
  ];
  const path = join(folder, `sentinel-${port}.conf`);
  await writeFile(path, `${lines.join("\n")}\n`);
  return await spawnServer({
    command: "redis-server",
    args: [path, "--sentinel"],
    account: null,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C" },
    logFile: join(folder, `sentinel-${port}.log`),
    ownerDeathSignals: { gentle: "KILL", harsh: "KILL" },
  });
}

function sentinelClient(port: number, tls: SentinelTls | null): Redis {
  const redis = new Redis({
    host: "127.0.0.1",
    port,
    password: PASSWORD,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    ...(tls === null ? {} : { tls: { rejectUnauthorized: false } }),
  });
  redis.on("error", () => undefined);
  return redis;
}
