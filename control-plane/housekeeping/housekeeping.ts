import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { deleteHeartbeat } from "../../core/heartbeat.js";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import type { RedisKeys } from "../../core/redis/keys.js";
import { pruneTicks } from "../../core/ticks/tick-store.js";
import { pruneRingVersions } from "../../core/versions/version-store.js";
import type { Observer } from "../membership/observer.js";
import { pruneDeliveries } from "../webhook/delivery-store.js";

const PAUSE_MS = 30_000;
const KEEP_TICKS_MS = 3_600_000;
const KEEP_RING_VERSIONS = 100;
/** A message is refused by its timestamp after a minute: its id need not be known for much longer. */
const KEEP_DELIVERIES_MS = 3_600_000;
/** Fields of processes that ended without saying goodbye stay this long, for people to see. */
const KEEP_SILENT_MS = 30_000;

export interface HousekeepingOptions {
  db: Queryable;
  redis: Redis;
  keys: RedisKeys;
  fleet: string;
  observer: Observer;
  leads: () => boolean;
  seated: () => readonly number[];
  monotonicNow: () => number;
  log: Logger;
}

/** The leader keeps tables and hash bounded. */
export class Housekeeping {
  readonly #options: HousekeepingOptions;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  /** Returns the milliseconds until the next round. */
  async step(): Promise<number> {
    const { db, leads, log } = this.#options;
    if (!leads()) return PAUSE_MS / 6;
    await pruneTicks(db, KEEP_TICKS_MS);
    await pruneRingVersions(db, KEEP_RING_VERSIONS);
    await pruneDeliveries(db, KEEP_DELIVERIES_MS);
    try {
      await this.#deleteSilent();
    } catch (error) {
      log.warn(`old heartbeats stay for now: ${reasonOf(error)}`);
    }
    return PAUSE_MS;
  }

  async #deleteSilent(): Promise<void> {
    const { redis, keys, fleet, observer, monotonicNow } = this.#options;
    const now = monotonicNow();
    const seated = new Set(this.#options.seated());
    for (const member of observer.membership.all()) {
      if (member.heartbeat === null || seated.has(member.incarnation)) continue;
      if (now - member.beatAt < KEEP_SILENT_MS) continue;
      await deleteHeartbeat(redis, keys, member.name, fleet, member.incarnation);
    }
  }
}
