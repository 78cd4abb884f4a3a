import { Redis } from "ioredis";

export interface RedisConnectionOptions {
  url: string;
  /** Shown by CLIENT LIST. */
  connectionName: string;
  onError: (error: Error) => void;
}

/**
 * A connection that fails fast and heals by itself: no offline queue (a queued heartbeat is a lie), a bound on
 * every command, and a socket that stays silent under a pending command is given up, because half-open
 * sockets otherwise live for minutes.
 */
export function connectRedis(options: RedisConnectionOptions): Redis {
  const redis = new Redis(options.url, {
    connectionName: options.connectionName,
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    commandTimeout: 1000,
    socketTimeout: 2000,
    keepAlive: 1000,
    retryStrategy: (attempt) => Math.min(1000, 50 * 2 ** Math.min(attempt, 5)) * (0.75 + Math.random() / 2),
  });
  redis.on("error", options.onError);
  return redis;
}

/** Whether a command would only fail because the first connection is still being made. */
export function isConnecting(redis: Redis): boolean {
  return redis.status === "wait" || redis.status === "connecting" || redis.status === "connect";
}
