import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Loop, monotonicNow } from "../core/lifecycle/loop.js";
import { Outage } from "../core/lifecycle/outage.js";
import { PostgresTasks } from "../core/lifecycle/postgres-tasks.js";
import type { Database } from "../core/postgres/database.js";
import { reasonOf } from "../core/postgres/errors.js";
import type { RedisAddress } from "../core/redis/address.js";
import { closeRedis, connectRedis } from "../core/redis/connection.js";
import { HintSubscriber } from "../core/redis/hint-subscriber.js";
import { redisKeys } from "../core/redis/keys.js";
import type { ControlPlaneSettings } from "../core/settings/settings.js";
import type { ApiOptions } from "./api/router.js";
import { ConfigService } from "./config/config-service.js";
import { Housekeeping } from "./housekeeping/housekeeping.js";
import { SnapshotWatch } from "./housekeeping/snapshot-watch.js";
import { Leadership } from "./leadership/leadership.js";
import { Observer } from "./membership/observer.js";
import { fleetProgress, rosterOf } from "./membership/roster.js";
import { WorkerHash } from "./membership/worker-hash.js";
import { Planner } from "./planner/planner.js";
import { PlannerMetrics } from "./planner/planner-metrics.js";
import { SlotRowsCache } from "./planner/slot-rows-cache.js";
import { NewestVersions } from "./publish/newest-versions.js";
import { RingPublisher } from "./publish/ring-publisher.js";
import { VersionStream } from "./stream/version-stream.js";
import { ConfigSource } from "./webhook/config-source.js";
import { webhookResults } from "./webhook/webhook-metrics.js";
import { WebhookService } from "./webhook/webhook-service.js";

export interface ControlPlaneOptions {
  settings: ControlPlaneSettings;
  redis: RedisAddress;
  db: Database;
  fleet: string;
  /** Unique among all replicas that ever ran. */
  replica: string;
  registry: Registry;
  log: Logger;
}

/** One replica of the control plane: leadership → membership → planner → publish. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #redis;
  readonly #subscriberRedis;
  readonly #leadership: Leadership;
  readonly #observer: Observer;
  readonly #newest: NewestVersions;
  readonly #slotRows: SlotRowsCache;
  readonly #metrics: PlannerMetrics;
  /** Changes and history of configs: what every replica serves. */
  readonly config: ConfigService;
  readonly webhook: WebhookService;
  readonly stream: VersionStream;
  readonly #streamLoop: Loop;
  readonly #plannerLoop: Loop;
  readonly #leadershipLoop: Loop;
  readonly #loops: Loop[];

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    const { settings, db, fleet, replica, registry, log } = options;
    const keys = redisKeys(settings.redisKeyPrefix);
    const redisOutage = new Outage("Redis", log);
    const redisOptions = {
      address: options.redis,
      connectionName: `ringfleet/${replica}`,
      onError: (error: Error) => redisOutage.failed(error),
    };
    this.#redis = connectRedis(redisOptions);
    this.#redis.on("ready", () => redisOutage.over());
    this.#subscriberRedis = connectRedis(redisOptions);
    const tasks = new PostgresTasks(db, log);
    const reading = tasks.task("read the newest versions");
    const counting = tasks.task("count the rows of each slot");
    const leading = tasks.task("hold or take the lease");
    const planning = tasks.task("change the ring");
    const tidying = tasks.task("delete old ticks and versions");
    const watching = tasks.task("look for old snapshots");
    const streaming = tasks.task("read versions for streams");
    this.#newest = new NewestVersions(reading);
    this.config = new ConfigService({ db, redis: this.#redis, keys, fleet, log });
    this.webhook = new WebhookService({
      db,
      config: this.config,
      source: configSource(settings),
      results: webhookResults(registry),
    });
    this.#metrics = new PlannerMetrics(registry);
    this.#slotRows = new SlotRowsCache({ db: counting, monotonicNow, registry });
    const seated = () => (this.#newest.ring?.snapshot.view.seats ?? []).map((seat) => seat.incarnation);
    this.#leadership = new Leadership({
      db: leading,
      holder: replica,
      ttlMs: settings.leaseTtlMs,
      monotonicNow,
      log,
      registry,
      onElected: () => this.#onElected(),
    });
    this.#observer = new Observer({
      hash: new WorkerHash(this.#redis, keys),
      fleet,
      settings: { heartbeatMs: settings.heartbeatMs, deadAfterMs: settings.deadAfterMs },
      seated,
      monotonicNow,
      log,
      onLook: () => this.#onLook(),
    });
    const term = () => this.#leadership.term();
    const publisher = new RingPublisher({
      db: planning,
      redis: this.#redis,
      keys,
      fleet,
      replica,
      newest: this.#newest,
      metrics: this.#metrics,
      monotonicNow,
      log,
    });
    const planner = new Planner({
      db: planning,
      observer: this.#observer,
      newest: this.#newest,
      slotRows: this.#slotRows,
      publisher,
      term,
      settings: { joinSettleMs: settings.joinSettleMs, replaceSettleMs: settings.replaceSettleMs },
      metrics: this.#metrics,
      monotonicNow,
      log,
    });
    const housekeeping = new Housekeeping({
      db: tidying,
      redis: this.#redis,
      keys,
      fleet,
      observer: this.#observer,
      leads: () => term() !== null,
      seated,
      monotonicNow,
      log,
    });
    const snapshots = new SnapshotWatch(watching, registry, log);
    const hints = new HintSubscriber({
      redis: this.#subscriberRedis,
      keys,
      fleet,
      aliveAs: null,
      onHint: () => this.#onHint(),
    });
    this.#plannerLoop = planning.loop(() => planner.step());
    this.stream = new VersionStream(streaming, () => this.#streamLoop.wake(), registry);
    this.#streamLoop = streaming.loop(() => this.stream.step());
    this.#leadershipLoop = leading.loop(() => this.#leadership.step());
    this.#loops = [
      reading.loop(() => this.#newest.step()),
      new Loop({ step: () => this.#observer.step(), onError: (error) => log.error(reasonOf(error)) }),
      this.#leadershipLoop,
      this.#plannerLoop,
      counting.loop(() => this.#slotRows.step()),
      tidying.loop(() => housekeeping.step()),
      watching.loop(() => snapshots.step()),
      this.#streamLoop,
      new Loop({ step: () => hints.step(), onError: (error) => log.debug(reasonOf(error)) }),
    ];
  }

  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  get api(): ApiOptions {
    return {
      replica: this.#options.replica,
      db: this.#options.db,
      observer: this.#observer,
      newest: this.#newest,
      slotRows: this.#slotRows,
      lease: () => this.#leadership.lastSeen,
      leading: () => this.#leadership.term() !== null,
      monotonicNow,
    };
  }

  /** Why this process should be restarted: one of its loops made no round for `ms`. Null while all do. */
  stuckFor(ms: number): string | null {
    const oldest = Math.min(...this.#loops.slice(0, 4).map((loop) => loop.progressAt));
    const silentMs = monotonicNow() - oldest;
    return silentMs > ms ? `a loop has made no round for ${Math.round(silentMs / 1000)} s` : null;
  }

  /** What this replica waits for before it counts as ready. */
  missing(): string[] {
    return this.#newest.loaded && this.#leadership.lastSeen !== null ? [] : ["Postgres"];
  }

  async stop(): Promise<void> {
    this.stream.stop();
    // The lease goes as soon as it can: a successor need not wait for what else is still running here.
    await Promise.all([this.#plannerLoop.stop(), this.#leadershipLoop.stop()]);
    await this.#leadership.resign().catch(() => undefined);
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    closeRedis(this.#redis);
    closeRedis(this.#subscriberRedis);
    await this.#options.db.close();
  }

  #onElected(): void {
    const [newestLoop] = this.#loops;
    newestLoop?.wake();
    this.#plannerLoop.wake();
  }

  #onHint(): void {
    for (const loop of [...this.#loops.slice(0, 2), this.#streamLoop]) loop.wake();
  }

  #onLook(): void {
    const now = monotonicNow();
    const { settings, membership } = this.#observer;
    const progress = fleetProgress(membership, this.#newest.config?.tickMs ?? 1000, settings, now);
    const ring = this.#newest.ring?.snapshot ?? null;
    const counts: Record<string, number> = { seated: 0, joining: 0, leaving: 0, silent: 0, unfit: 0 };
    for (const { state } of rosterOf(membership, ring, progress, settings, now)) {
      counts[state] = (counts[state] ?? 0) + 1;
    }
    this.#metrics.members({ ...counts, foreign: membership.foreign.size });
    this.#metrics.version(ring?.version ?? 0);
    this.#plannerLoop.wake();
  }
}

function configSource(settings: ControlPlaneSettings): ConfigSource | null {
  const { configSourceUrl, configSourceToken, configSourceAllowPrivate } = settings;
  if (configSourceUrl === null) return null;
  return new ConfigSource({
    url: configSourceUrl,
    token: configSourceToken,
    allowPrivate: configSourceAllowPrivate === "true",
  });
}
