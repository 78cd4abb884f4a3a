import { Redis } from "ioredis";
import type { RedisAddress } from "./address.js";
import { tellErrors } from "./connection-error.js";

export interface RedisConnectionOptions {
  address: RedisAddress;
  /** Shown by CLIENT LIST. */
  connectionName: string;
  onError: (error: Error) => void;
}

const REVIVE_MS = 250;
const closed = new WeakSet<Redis>();

/**
 * A connection that fails fast and heals by itself: no offline queue (a queued heartbeat is a lie), a bound on
 * every command, and a socket that stays silent under a pending command is given up, because half-open
 * sockets otherwise live for minutes. Ends with closeRedis alone.
 */
export function connectRedis({ address, connectionName, onError }: RedisConnectionOptions): Redis {
  const redis = new Redis(address.url, {
    ...placeOf(address),
    connectionName,
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    commandTimeout: 1000,
    socketTimeout: 2000,
    keepAlive: 1000,
    retryStrategy: jitteredPauseMs,
    // The master that it led to is a replica now: a new connection finds the new one.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  });
  tellErrors(redis, address, onError);
  // ioredis gives up for good where it couldn't even make a socket; an outage must not outlast its cause.
  redis.on("end", () => {
    if (closed.has(redis)) return;
    setTimeout(() => {
      if (!closed.has(redis)) redis.connect().catch(() => undefined);
    }, REVIVE_MS);
  });
  return redis;
}

/** Closes a connection for good. */
export function closeRedis(redis: Redis): void {
  closed.add(redis);
  redis.disconnect();
}

/** Whether a command would only fail because the first connection is still being made. */
export function isConnecting(redis: Redis): boolean {
  return redis.status === "wait" || redis.status === "connecting" || redis.status === "connect";
}

function placeOf({ tls, sentinel }: RedisAddress) {
  const encrypted = tls === null ? {} : { tls };
  if (sentinel === null) return encrypted;
  return {
    ...encrypted,
    ...(tls === null ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinels: [...sentinel.hosts],
    name: sentinel.master,
    ...(sentinel.password === null ? {} : { sentinelPassword: sentinel.password }),
    sentinelCommandTimeout: 1000,
    sentinelRetryStrategy: jitteredPauseMs,
  };
}

function jitteredPauseMs(attempt: number): number {
  return Math.min(1000, 50 * 2 ** Math.min(attempt, 5)) * (0.75 + Math.random() / 2);
}
