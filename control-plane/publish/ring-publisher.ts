import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { announceVersion } from "../../core/redis/hints.js";
import type { RedisKeys } from "../../core/redis/keys.js";
import { rowsMoved } from "../../core/ring/balance.js";
import { type Member, planRing } from "../../core/ring/plan.js";
import { openRingSnapshot, ownersOf, ringDigest } from "../../core/ring/view.js";
import { readDatabaseTime } from "../../core/time/read-database-time.js";
import { publishRing } from "../../core/versions/version-store.js";
import type { PlannerMetrics } from "../planner/planner-metrics.js";
import type { NewestVersions } from "./newest-versions.js";

/**
 * A plan holds this long, once in this process and once more on its way to Postgres: whom it seats may say goodbye
 * meanwhile, and a newcomer that does so waits for its seat no longer than that.
 */
const PLAN_HOLDS_MS = 500;

export interface RingPublisherOptions {
  db: Queryable;
  redis: Redis;
  keys: RedisKeys;
  fleet: string;
  replica: string;
  newest: NewestVersions;
  metrics: PlannerMetrics;
  monotonicNow: () => number;
  log: Logger;
}

export interface PublishRequest {
  term: number;
  members: readonly Member[];
  /** Incarnations that leave by death. */
  dead: readonly number[];
  reason: string;
  /** When it was decided who sits, by the monotonic clock, ms. */
  decidedAt: number;
  /** Rows of each slot. */
  slotRows: Uint32Array;
}

/** Plans the next ring view on the highest one, publishes it, and tells everybody. */
export class RingPublisher {
  readonly #options: RingPublisherOptions;

  constructor(options: RingPublisherOptions) {
    this.#options = options;
  }

  /** Returns whether a view was published: not if it would change nothing, or Postgres refused it. */
  async publish(request: PublishRequest): Promise<boolean> {
    const { db, newest, replica, metrics, monotonicNow, log } = this.#options;
    const base = newest.ring;
    const startedAt = monotonicNow();
    const slotCount = request.slotRows.length;
    const view = planRing(base?.snapshot ?? null, request.members, request.slotRows, request.dead, slotCount);
    const digest = ringDigest(view, ownersOf(view, slotCount));
    metrics.planned(monotonicNow() - startedAt);
    if (digest === base?.document.digest) return false;
    const version = (base?.document.version ?? 0) + 1;
    // Before anybody sees it: a published view that can't be opened would end all work, and every later view.
    const snapshot = openRingSnapshot({ version, digest, body: view }, slotCount);
    const databaseNowMs = await readDatabaseTime(db);
    if (monotonicNow() - request.decidedAt > PLAN_HOLDS_MS) {
      log.info(`ring ${version} (${request.reason}) took too long to plan: who is there is looked at again`);
      return false;
    }
    const document = await publishRing(db, {
      base: version - 1,
      digest,
      body: view,
      createdBy: replica,
      reason: request.reason,
      holder: replica,
      term: request.term,
      notAfterMs: databaseNowMs + PLAN_HOLDS_MS,
    });
    if (document === null) {
      metrics.refused();
      log.warn(
        { term: request.term },
        "Postgres refused a ring view: the term has ended, another was first, or it came too late",
      );
      await newest.step();
      return false;
    }
    newest.took({ document, snapshot });
    const moved = rowsMoved(base?.snapshot ?? null, snapshot, request.slotRows);
    metrics.published(request.reason, moved);
    metrics.version(document.version);
    log.info(
      { version: document.version, reason: request.reason, rowsMoved: moved },
      `ring ${document.version} (${request.reason}): ${view.seats.length} seats, ${moved} rows move`,
    );
    await this.#announce(document);
    return true;
  }

  async #announce(document: Parameters<typeof announceVersion>[3]): Promise<void> {
    const { redis, keys, fleet, log } = this.#options;
    try {
      await announceVersion(redis, keys, fleet, document);
    } catch (error) {
      log.warn(`ring ${document.version} is published, but not announced: ${reasonOf(error)}`);
    }
  }
}
