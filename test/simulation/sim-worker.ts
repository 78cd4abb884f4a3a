import type { Heartbeat } from "../../core/heartbeat.js";
import { nextIncarnation } from "../../core/postgres/schema.js";
import { HintSubscriber } from "../../core/redis/hint-subscriber.js";
import { redisKeys } from "../../core/redis/keys.js";
import { DatabaseClock } from "../../core/time/database-clock.js";
import { VersionFollower } from "../../core/versions/version-follower.js";
import { HeartbeatSender } from "../../worker/heartbeat/heartbeat-sender.js";
import { Drain } from "../../worker/leaving/drain.js";
import { seatedByNewest } from "../../worker/leaving/next-seat.js";
import { type Progress, Ticker } from "../../worker/tick/ticker.js";
import { TickWork } from "../../worker/work/tick-work.js";
import { Host, SimLoop } from "./host.js";
import { PostgresConnection } from "./postgres-connection.js";
import { RedisClient } from "./redis-model.js";
import { FLEET, LIVENESS, loggerOf, NO_REGISTRY, SLOTS, TICK_METRICS, type World } from "./world.js";

const DRAIN_TIMEOUT_MS = 25_000;

/** worker/worker.ts and worker/app.ts on the models: the same parts, wired the same way. */
export class SimWorker {
  readonly host: Host;
  readonly clients: RedisClient[] = [];
  #progress: Progress | null = null;
  #stop: (() => Promise<void>) | null = null;

  constructor(
    readonly world: World,
    readonly name: string,
    number: number,
    readonly revision: string,
  ) {
    this.host = new Host(world.timeline, name, number, world.seed);
    world.judge.born(this.host);
    this.host.after(this.host.random.between(20, 300), () => void this.#start());
  }

  /** SIGTERM. */
  terminate(): void {
    if (this.host.leaving) return;
    this.host.leaving = true;
    this.host.after(1, () => {
      if (this.#stop === null) this.host.crash();
      else void this.#stop();
    });
  }

  async #start(): Promise<void> {
    const { world, host, name } = this;
    const limits = { lockTimeoutMs: null, statementTimeoutMs: 3000 };
    const db = new PostgresConnection(host, world.postgres, world.held, world.bug.sql, limits);
    while (host.incarnation === 0) {
      try {
        host.incarnation = await nextIncarnation(db);
      } catch {
        await host.sleep(500);
      }
    }
    world.log(name, `starts as incarnation ${host.incarnation}`);
    this.#run(db);
  }

  #run(db: PostgresConnection): void {
    const { world, host, name } = this;
    const log = loggerOf(world, `${name}/${host.incarnation}`);
    const keys = redisKeys("");
    const redis = new RedisClient(host, world.redis);
    const subscriber = new RedisClient(host, world.redis);
    this.clients.push(redis, subscriber);
    const limits = { lockTimeoutMs: 200, statementTimeoutMs: 1500 };
    const session = new PostgresConnection(host, world.postgres, world.held, world.bug.sql, limits);
    const follower = new VersionFollower(db, SLOTS);
    const drain = new Drain(host.now, () => seatedByNewest(db, host.incarnation), {
      setTimeout: (run, ms) => host.after(ms, run),
      clearTimeout: () => undefined,
    });
    const ticker = new Ticker({
      session,
      follower,
      clock: new DatabaseClock(host.now),
      work: new TickWork(session, { now: host.now, sleep: host.sleep }, () => undefined),
      metrics: TICK_METRICS,
      log,
      worker: name,
      incarnation: host.incarnation,
      monotonicNow: host.now,
      onTick: (progress) => {
        this.#progress = progress;
        drain.sawTick(progress.seated, progress.slice.ring.version);
      },
    });
    let isSuperseded = false;
    const heartbeat = new HeartbeatSender({
      redis: redis.asRedis,
      keys,
      intervalMs: LIVENESS.heartbeatMs,
      content: () => this.#beat(drain.begun),
      onSuperseded: (newer) => {
        if (isSuperseded) return;
        isSuperseded = true;
        log.error(`incarnation ${newer} has my name: I stop`);
        this.terminate();
      },
      registry: NO_REGISTRY,
    });
    const hints = new HintSubscriber({
      redis: subscriber.asRedis,
      keys,
      fleet: FLEET,
      aliveAs: host.incarnation,
      onHint: (hint) => {
        if (hint.type === "version") follower.accept(hint.document);
      },
    });
    world.bug.worker?.({ follower, drain, host });
    const failed = (error: unknown) => log.warn(`tick: ${String(error)}`);
    const tickLoop = new SimLoop(host, () => ticker.step(), failed);
    const beatLoop = new SimLoop(
      host,
      () => heartbeat.step(),
      () => undefined,
    );
    const hintLoop = new SimLoop(
      host,
      () => hints.step(),
      () => undefined,
    );
    redis.on("ready", () => beatLoop.wake());
    this.#stop = async () => {
      log.info("SIGTERM or superseded: leaving");
      drain.begin(this.#progress?.seated === true);
      if (isSuperseded) beatLoop.stop();
      else beatLoop.wake();
      const left = await drain.done(DRAIN_TIMEOUT_MS);
      log.info(left ? "handed over" : "nobody took over in time");
      for (const loop of [tickLoop, beatLoop, hintLoop]) loop.stop();
      await tickLoop.ended;
      if (!isSuperseded) await heartbeat.remove().catch(() => undefined);
      host.crash();
    };
    for (const loop of [tickLoop, beatLoop, hintLoop]) void loop.run();
  }

  #beat(isLeaving: boolean): Omit<Heartbeat, "beat"> {
    const progress = this.#progress;
    const ring = progress?.slice.ring;
    return {
      name: this.name,
      fleet: FLEET,
      incarnation: this.host.incarnation,
      state: isLeaving ? "leaving" : progress?.seated === true ? "working" : "joining",
      lastTick: progress?.tickMs ?? null,
      rows: progress?.rows ?? 0,
      ring: ring === undefined ? null : { version: ring.version, digest: ring.digest },
      config: progress?.config ?? null,
      address: "http://127.0.0.1:1",
      weight: 1,
      revision: this.revision,
      formats: [1],
      pid: 1,
      host: "simulation",
    };
  }
}
