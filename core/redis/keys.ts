/** Names of everything ringfleet keeps in Redis, under `REDIS_KEY_PREFIX`. */
export interface RedisKeys {
  /** Hash: field = worker name, value = heartbeat JSON. */
  workers: string;
  /** Channel: one JSON hint a message. */
  hints: string;
  /** Channel that nobody publishes on: its subscribers show that the incarnation's process is there. */
  alive(incarnation: number): string;
  /** Cached newest document of a kind. */
  current(kind: "ring" | "config"): string;
}

export function redisKeys(prefix: string): RedisKeys {
  return {
    workers: `${prefix}workers`,
    hints: `${prefix}hints`,
    alive: (incarnation) => `${prefix}alive:${incarnation}`,
    current: (kind) => `${prefix}current:${kind}`,
  };
}
