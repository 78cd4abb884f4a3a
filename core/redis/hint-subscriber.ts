import type { Redis } from "ioredis";
import { type Hint, parseHint } from "./hints.js";
import type { RedisKeys } from "./keys.js";

const PING_MS = 1000;

export interface HintSubscriberOptions {
  /** A connection of its own: a subscribed one can do nothing else. */
  redis: Redis;
  keys: RedisKeys;
  fleet: string;
  /** Also subscribe to this incarnation's `alive:` channel, which shows the leader that the process is there. */
  aliveAs: number | null;
  onHint: (hint: Hint) => void;
}

/** Hears hints while Redis is there, and is subscribed again whenever it comes back. */
export class HintSubscriber {
  readonly #options: HintSubscriberOptions;

  constructor(options: HintSubscriberOptions) {
    this.#options = options;
    const { redis, keys, fleet, onHint } = options;
    redis.on("message", (channel: string, message: string) => {
      if (channel !== keys.hints) return;
      const hint = parseHint(message, fleet);
      if (hint !== null) onHint(hint);
    });
  }

  /** (Re)subscribes and pings, so that a half-open connection is noticed. Returns the ms until the next step. */
  async step(): Promise<number> {
    const { redis, keys, aliveAs } = this.#options;
    if (redis.status !== "ready") return PING_MS / 4;
    await redis.subscribe(keys.hints, ...(aliveAs === null ? [] : [keys.alive(aliveAs)]));
    return PING_MS;
  }
}
