import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Loop, monotonicNow } from "../core/lifecycle/loop.js";
import { Outage } from "../core/lifecycle/outage.js";
import type { Database } from "../core/postgres/database.js";
import { reasonOf } from "../core/postgres/errors.js";
import { Session } from "../core/postgres/session.js";
import { closeRedis, connectRedis } from "../core/redis/connection.js";
import { HintSubscriber } from "../core/redis/hint-subscriber.js";
import { redisKeys } from "../core/redis/keys.js";
import type { WorkerSettings } from "../core/settings/settings.js";
import type { StoreAddresses } from "../core/settings/store-addresses.js";
import { DatabaseClock } from "../core/time/database-clock.js";
import type { VersionDocument } from "../core/versions/version.js";
import { VersionFollower } from "../core/versions/version-follower.js";
import { type BeatContent, HeartbeatSender } from "./heartbeat/heartbeat-sender.js";
import { Drain } from "./leaving/drain.js";
import { seatedByNewest } from "./leaving/next-seat.js";

import { SliceLog } from "./slice/slice-log.js";
import { stuckReason } from "./tick/stuck.js";
import { TickMetrics } from "./tick/tick-metrics.js";
import { type Progress, Ticker } from "./tick/ticker.js";
import { TickWork } from "./work/tick-work.js";

/** Row locks of others are waited for this long, then stepped around. */
const LOCK_TIMEOUT_MS = 200;
/** Until the config is known: the length of the default tick and its allowed lag. */
const FIRST_STATEMENT_TIMEOUT_MS = 1500;

export interface WorkerOptions {
  settings: WorkerSettings;
  stores: StoreAddresses;
  db: Database;
  fleet: string;
  incarnation: number;
  /** URL under which others reach this worker. */
  address: string;
  host: string;
  registry: Registry;
  log: Logger;
  onSuperseded: () => void;
}

/**
 * One incarnation of a worker.
 *
 *   joining ──first tick with a seat──▶ working ──stop()──▶ leaving ──a sealed view without us──▶ stopped
 */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #redis;
  readonly #subscriberRedis;
  readonly #session: Session;
  readonly #heartbeat: HeartbeatSender;
  readonly #ticker: Ticker;
  readonly #drain: Drain;
  readonly #tickLoop: Loop;
  readonly #beatLoop: Loop;
  readonly #sideLoops: Loop[];
  #progress: Progress | null = null;
  #superseded = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { settings, stores, db, fleet, incarnation, registry, log } = options;
    const keys = redisKeys(settings.redisKeyPrefix);
    const redisOutage = new Outage("Redis", log);
    const onRedisError = (error: Error) => redisOutage.failed(error);
    const connectionName = `ringfleet/${settings.workerName}/${incarnation}`;
    const address = stores.redis;
    this.#redis = connectRedis({ address, connectionName, onError: onRedisError });
    this.#subscriberRedis = connectRedis({ address, connectionName, onError: onRedisError });
    this.#session = new Session({
      ...stores.postgres,
      schema: settings.pgSchema,
      applicationName: connectionName,
      poolSize: 1,
      statementTimeoutMs: FIRST_STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: LOCK_TIMEOUT_MS,
    });
    this.#drain = new Drain(monotonicNow, () => seatedByNewest(db, incarnation));
    const follower = new VersionFollower(db);
    const metrics = new TickMetrics(registry);
    this.#ticker = new Ticker({
      session: this.#session,
      follower,
      clock: new DatabaseClock(monotonicNow),
      work: new TickWork(this.#session, { now: monotonicNow, sleep }, (rows, ms) => metrics.batch(rows, ms)),
      metrics,
      log,
      worker: settings.workerName,
      incarnation,
      monotonicNow,
      onTick: (progress) => this.#onTick(progress),
    });
    this.#heartbeat = new HeartbeatSender({
      redis: this.#redis,
      keys,
      intervalMs: settings.heartbeatMs,
      content: () => this.#beat(),
      onSuperseded: (newer) => this.#onSuperseded(newer),
      registry,
    });
    const hints = new HintSubscriber({
      redis: this.#subscriberRedis,
      keys,
      fleet,
      aliveAs: incarnation,
      onHint: (hint) => {
        if (hint.type === "version" && follower.accept(hint.document)) this.#onAnnounced(hint.document);
      },
    });
    const sliceLog = new SliceLog({ db, log, limit: settings.sliceLogLimit, progress: () => this.#progress });
    const postgresOutage = new Outage("Postgres", log);
    this.#tickLoop = new Loop({
      step: async () => {
        const pauseMs = await this.#ticker.step();
        postgresOutage.over();
        return pauseMs;
      },
      onError: (error) => postgresOutage.failed(error),
    });
    this.#beatLoop = new Loop({
      step: async () => {
        const { accepted } = this.#heartbeat;
        const pauseMs = await this.#heartbeat.step();
        // A round that only waits for a connection proves nothing: a frozen Redis still takes connections.
        if (this.#heartbeat.accepted > accepted) redisOutage.over();
        return pauseMs;
      },
      onError: (error) => redisOutage.failed(error),
    });
    // Silence counts from when the leader sees Redis again: no backoff of ours may stand in the way.
    this.#redis.on("ready", () => this.#beatLoop.wake());
    const quiet = (error: unknown) => log.debug(reasonOf(error));
    this.#sideLoops = [
      new Loop({ step: () => hints.step(), onError: quiet }),
      new Loop({ step: () => sliceLog.step(), onError: quiet }),
    ];
  }

  start(): void {
    for (const loop of [this.#tickLoop, this.#beatLoop, ...this.#sideLoops]) loop.start();
  }

  /** What this worker has done in its newest tick, or null before the first. */
  get progress(): Progress | null {
    return this.#progress;
  }

  get identity(): { worker: string; incarnation: number } {
    return { worker: this.#options.settings.workerName, incarnation: this.#options.incarnation };
  }

  get database(): Database {
    return this.#options.db;
  }

  /** Why this process should be restarted: its tick loop hangs for `ms`. Null while it doesn't. */
  stuckFor(ms: number): string | null {
    const { answeredAt, answerLimitMs } = this.#session;
    return stuckReason({ roundAt: this.#tickLoop.progressAt, answeredAt, answerLimitMs }, ms, monotonicNow());
  }

  /** What this worker waits for before it counts as ready. A seat is none of it. */
  missing(): string[] {
    const missing: string[] = [];
    if (this.#heartbeat.accepted < 2) missing.push("Redis to take two heartbeats");
    if (!this.#session.connected) missing.push("Postgres");
    return missing;
  }

  /**
   * Leaves in order: beats as `leaving` and works on until a tick is sealed without us, then deletes its field.
   * After DRAIN_TIMEOUT_MS it stops all the same.
   */
  async stop(): Promise<void> {
    const { settings, log, db } = this.#options;
    this.#drain.begin(this.#progress?.seated === true);
    // A superseded incarnation says nothing more, but works what is still sealed for it.
    if (this.#superseded) await this.#beatLoop.stop();
    else this.#beatLoop.wake();
    const left = await this.#drain.done(settings.drainTimeoutMs);
    log.info(
      left
        ? "handed over: no slot is ours any more"
        : "stopping without a handover: nobody took over in time",
    );
    for (const loop of [this.#tickLoop, this.#beatLoop, ...this.#sideLoops]) await loop.stop();
    if (!this.#superseded) await this.#heartbeat.remove().catch(() => undefined);
    closeRedis(this.#redis);
    closeRedis(this.#subscriberRedis);
    await this.#session.close();
    await db.close();
  }

  #onAnnounced({ kind, version, activatesAtMs }: VersionDocument): void {
    if (kind !== "config") return;
    const activatesAt = new Date(activatesAtMs).toISOString();
    this.#options.log.info(
      { config: version, activatesAt },
      `config ${version} is known: from ${activatesAt}`,
    );
  }

  #onTick(progress: Progress): void {
    const before = this.#progress;
    this.#progress = progress;
    if (progress.seated !== (before?.seated ?? false)) {
      this.#options.log.info(
        { ring: progress.slice.ring.version },
        progress.seated
          ? `took a seat: ${progress.slice.slots.length} slots under ring ${progress.slice.ring.version}`
          : `gave up the seat under ring ${progress.slice.ring.version}`,
      );
    }
    if (before !== null && progress.config.digest !== before.config.digest) {
      const tick = new Date(progress.tickMs).toISOString();
      this.#options.log.info(
        { config: progress.config.version, tick },
        `config ${progress.config.version} rules from tick ${tick}`,
      );
    }
    this.#drain.sawTick(progress.seated, progress.slice.ring.version);
  }

  #onSuperseded(newer: number): void {
    if (this.#superseded) return;
    this.#superseded = true;
    this.#options.log.error(
      `incarnation ${newer} has the name ${this.#options.settings.workerName} now: this older one stops`,
    );
    this.#options.onSuperseded();
  }

  #beat(): BeatContent {
    const { settings, fleet, incarnation, address, host } = this.#options;
    const progress = this.#progress;
    return {
      name: settings.workerName,
      fleet,
      incarnation,
      state: this.#drain.begun ? "leaving" : progress?.seated === true ? "working" : "joining",
      lastTick: progress?.tickMs ?? null,
      rows: progress?.rows ?? 0,
      ring:
        progress === null
          ? null
          : { version: progress.slice.ring.version, digest: progress.slice.ring.digest },
      config: progress?.config ?? null,
      address,
      weight: settings.workerWeight,
      revision: settings.workerRevision,
      formats: [1],
      pid: process.pid,
      host,
    };
  }
}
