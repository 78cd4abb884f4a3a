import type { Redis } from "ioredis";
import { Counter, type Registry } from "prom-client";
import { deleteHeartbeat, type Heartbeat, sendHeartbeat } from "../../core/heartbeat.js";
import { isConnecting } from "../../core/redis/connection.js";
import { sendLook } from "../../core/redis/hints.js";
import type { RedisKeys } from "../../core/redis/keys.js";

export type BeatContent = Omit<Heartbeat, "beat">;

export interface HeartbeatSenderOptions {
  redis: Redis;
  keys: RedisKeys;
  intervalMs: number;
  /** What to say now. */
  content: () => BeatContent;
  /** A newer incarnation of this name beats: this process has to stop. */
  onSuperseded: (newer: number) => void;
  registry: Registry;
}

/** Beats every `intervalMs`, and at once where the state changes. A beat that fails isn't queued. */
export class HeartbeatSender {
  readonly #options: HeartbeatSenderOptions;
  readonly #beats: Counter<"result">;
  #beat = 0;
  #accepted = 0;
  #announced: string | null = null;

  constructor(options: HeartbeatSenderOptions) {
    this.#options = options;
    this.#beats = new Counter({
      name: "ringfleet_heartbeats_total",
      help: "Heartbeats by result: sent; failed (Redis unreachable); superseded (a newer process has this name).",
      labelNames: ["result"],
      registers: [options.registry],
    });
    for (const result of ["sent", "failed", "superseded"]) this.#beats.inc({ result }, 0);
  }

  /** Beats that Redis took. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Sends one beat. Returns the milliseconds until the next; throws where Redis didn't take it. */
  async step(): Promise<number> {
    const { redis, keys, intervalMs, content, onSuperseded } = this.#options;
    if (isConnecting(redis)) return 20;
    const beat: Heartbeat = { ...content(), beat: this.#beat++ };
    try {
      const newer = await sendHeartbeat(redis, keys, beat);
      if (newer > 0) {
        this.#beats.inc({ result: "superseded" });
        onSuperseded(newer);
        return intervalMs;
      }
    } catch (error) {
      this.#beats.inc({ result: "failed" });
      throw error;
    }
    this.#beats.inc({ result: "sent" });
    this.#accepted += 1;
    await this.#announce(beat);
    return intervalMs;
  }

  /** Deletes this incarnation's field: the orderly end. */
  async remove(): Promise<void> {
    const { redis, keys, content } = this.#options;
    const { name, fleet, incarnation } = content();
    await deleteHeartbeat(redis, keys, name, fleet, incarnation);
    await sendLook(redis, keys, fleet);
  }

  /** The leader looks at once where a state is new; otherwise it sees the beat with its next look. */
  async #announce(beat: Heartbeat): Promise<void> {
    if (beat.state === this.#announced) return;
    await sendLook(this.#options.redis, this.#options.keys, beat.fleet);
    this.#announced = beat.state;
  }
}
