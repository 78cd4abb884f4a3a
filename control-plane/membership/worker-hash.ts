import type { Redis } from "ioredis";
import { type Heartbeat, parseHeartbeat } from "../../core/heartbeat.js";
import { isConnecting } from "../../core/redis/connection.js";
import type { RedisKeys } from "../../core/redis/keys.js";
import type { Reading } from "./membership.js";

/** Looks at hash `workers`, and knows when a look can't be compared with the one before. */
export class WorkerHash {
  readonly #redis: Redis;
  readonly #keys: RedisKeys;
  #epoch = 0;

  constructor(redis: Redis, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = keys;
    // Every new connection may lead to a restarted, emptied or promoted Redis.
    redis.on("ready", () => {
      this.#epoch += 1;
    });
  }

  /** The first connection, or the next after a break, is still being made: there is nothing to look at yet. */
  get connecting(): boolean {
    return isConnecting(this.#redis);
  }

  /** One look. Throws, and starts a new epoch, where Redis can't be read. */
  async read(incarnations: readonly number[]): Promise<Reading> {
    const epoch = this.#epoch;
    try {
      // ioredis would say it in words that nobody understands who doesn't know its options.
      if (this.#redis.status !== "ready") throw new Error("there is no connection");
      const fields = await this.#redis.hgetall(this.#keys.workers);
      const beats = Object.values(fields)
        .map(parseHeartbeat)
        .filter((beat): beat is Heartbeat => beat !== null);
      const subscribed = await this.#subscribed([...incarnations, ...beats.map((beat) => beat.incarnation)]);
      return { beats, epoch, subscribed };
    } catch (error) {
      this.#epoch += 1;
      throw error;
    }
  }

  async #subscribed(incarnations: readonly number[]): Promise<Set<number>> {
    const asked = [...new Set(incarnations)];
    if (asked.length === 0) return new Set();
    const reply = (await this.#redis.pubsub(
      "NUMSUB",
      ...asked.map((incarnation) => this.#keys.alive(incarnation)),
    )) as (string | number)[];
    return new Set(asked.filter((_, index) => Number(reply[index * 2 + 1]) > 0));
  }
}
