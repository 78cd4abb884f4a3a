import { ConfigService } from "../../control-plane/config/config-service.js";
import { Leadership } from "../../control-plane/leadership/leadership.js";
import { Observer } from "../../control-plane/membership/observer.js";
import { WorkerHash } from "../../control-plane/membership/worker-hash.js";
import { Planner } from "../../control-plane/planner/planner.js";
import { SlotRowsCache } from "../../control-plane/planner/slot-rows-cache.js";
import { NewestVersions } from "../../control-plane/publish/newest-versions.js";
import { RingPublisher } from "../../control-plane/publish/ring-publisher.js";
import { nextIncarnation } from "../../core/postgres/schema.js";
import { HintSubscriber } from "../../core/redis/hint-subscriber.js";
import { redisKeys } from "../../core/redis/keys.js";
import type { Config } from "../../core/versions/config.js";
import { Host, SimLoop } from "./host.js";
import { PostgresConnection } from "./postgres-connection.js";
import { RedisClient } from "./redis-model.js";
import { FLEET, LIVENESS, loggerOf, NO_REGISTRY, PLANNER_METRICS, SLOTS, type World } from "./world.js";

const LEASE_TTL_MS = 3000;
const STATEMENT_TIMEOUT_MS = 5000;
/** A rollout's joiners wait this long for a leaver; shorter than the product's 30 s, as the runs are. */
const RESHAPE = { joinSettleMs: 1000, replaceSettleMs: 5000 };

/** control-plane/control-plane.ts on the models: the same parts, wired the same way, without its housekeeping. */
export class SimControlPlane {
  readonly host: Host;
  readonly clients: RedisClient[] = [];
  #stop: (() => Promise<void>) | null = null;
  #config: ConfigService | null = null;

  constructor(
    readonly world: World,
    readonly name: string,
    number: number,
  ) {
    this.host = new Host(world.timeline, name, number, world.seed);
    this.host.after(this.host.random.between(20, 200), () => void this.#start());
  }

  /** SIGTERM. */
  terminate(): void {
    this.host.after(1, () => {
      if (this.#stop === null) this.host.crash();
      else void this.#stop();
    });
  }

  /** PUT /v1/config on top of the highest one. What is refused stays undone. */
  async configure(change: (before: Config) => Config, inMs: number | null, replace: boolean): Promise<void> {
    try {
      const [newest] = (await this.#config?.schedule())?.versions ?? [];
      const before = newest?.config ?? null;
      if (before === null) return;
      await this.#config?.change({
        config: change(before),
        wanted: inMs === null ? null : { inMs },
        replace,
        ifMatch: null,
        createdBy: "operator",
        reason: "simulated",
      });
    } catch (error) {
      this.world.log(this.name, `config refused: ${String(error)}`);
    }
  }

  async #start(): Promise<void> {
    const { world, host } = this;
    const limits = { lockTimeoutMs: null, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
    const db = new PostgresConnection(host, world.postgres, world.held, world.bug.sql, limits);
    while (host.incarnation === 0) {
      try {
        host.incarnation = await nextIncarnation(db);
      } catch {
        await host.sleep(500);
      }
    }
    this.#run(db);
  }

  #run(db: PostgresConnection): void {
    const { world, host } = this;
    const replica = `${this.name}/${host.incarnation}`;
    const log = loggerOf(world, replica);
    const keys = redisKeys("");
    const redis = new RedisClient(host, world.redis);
    const subscriber = new RedisClient(host, world.redis);
    this.clients.push(redis, subscriber);
    const monotonicNow = host.now;
    this.#config = new ConfigService({ db, redis: redis.asRedis, keys, fleet: FLEET, log });
    const newest = new NewestVersions(db, SLOTS);
    const slotRows = new SlotRowsCache({
      db,
      monotonicNow,
      registry: NO_REGISTRY,
      slotCount: SLOTS,
      sleep: (ms) => host.sleep(ms),
    });
    const seated = () => (newest.ring?.snapshot.view.seats ?? []).map((seat) => seat.incarnation);
    const loop = (step: () => Promise<number>) =>
      new SimLoop(host, step, (error) => log.warn(`failed: ${String(error)}`));
    const leadership = new Leadership({
      db,
      holder: replica,
      ttlMs: LEASE_TTL_MS,
      monotonicNow,
      log,
      registry: NO_REGISTRY,
      onElected: () => {
        newestLoop.wake();
        plannerLoop.wake();
      },
    });
    const hash = new WorkerHash(redis.asRedis, keys);
    const observer = new Observer({
      hash,
      fleet: FLEET,
      settings: LIVENESS,
      seated,
      monotonicNow,
      log,
      onLook: () => plannerLoop.wake(),
    });
    const publisher = new RingPublisher({
      db,
      redis: redis.asRedis,
      keys,
      fleet: FLEET,
      replica,
      newest,
      metrics: PLANNER_METRICS,
      monotonicNow,
      log,
    });
    const planner = new Planner({
      db,
      observer,
      newest,
      slotRows,
      publisher,
      term: () => leadership.term(),
      settings: RESHAPE,
      metrics: PLANNER_METRICS,
      monotonicNow,
      log,
    });
    const hints = new HintSubscriber({
      redis: subscriber.asRedis,
      keys,
      fleet: FLEET,
      aliveAs: null,
      onHint: () => {
        newestLoop.wake();
        observerLoop.wake();
      },
    });
    world.bug.controlPlane?.({ observer, newest, publisher, hash, leadership, planner, slotRows });
    const newestLoop = loop(() => newest.step());
    const observerLoop = loop(() => observer.step());
    const plannerLoop = loop(() => planner.step());
    const leadershipLoop = loop(() => leadership.step());
    const loops = [
      newestLoop,
      observerLoop,
      leadershipLoop,
      plannerLoop,
      loop(() => slotRows.step()),
      loop(() => hints.step()),
    ];
    this.#stop = async () => {
      for (const each of loops) each.stop();
      for (const each of [plannerLoop, leadershipLoop]) await each.ended;
      await leadership.resign().catch(() => undefined);
      for (const each of loops) await each.ended;
      host.crash();
    };
    for (const each of loops) void each.run();
  }
}
