import { type Config, DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import type { Host } from "./host.js";
import { Lock } from "./postgres-engine.js";
import { Random } from "./random.js";
import type { Incident, IncidentKind, Scenario } from "./scenario.js";
import { SimControlPlane } from "./sim-control-plane.js";
import { SimWorker } from "./sim-worker.js";
import { SLOTS, type World } from "./world.js";

/** The processes of a run, and what each incident does to them. */
export class Fleet {
  readonly workers: SimWorker[] = [];
  readonly controlPlanes: SimControlPlane[] = [];
  readonly #world: World;
  readonly #random: Random;
  #started = 0;
  #revision = 1;
  #faultsAreOver = false;

  constructor(world: World, scenario: Scenario) {
    this.#world = world;
    this.#random = new Random(world.seed, 2);
    this.#insertFirstConfig({ ...DEFAULT_CONFIG, tickMs: scenario.tickMs });
    for (let row = 0; row < scenario.rows; row++) this.#insertRow();
    for (let index = 0; index < scenario.workers; index++) this.#startWorker();
    for (const name of ["cp-a", "cp-b"]) this.#startControlPlane(name);
  }

  get liveWorkers(): SimWorker[] {
    return this.workers.filter(({ host }) => host.alive);
  }

  get #staying(): SimWorker[] {
    return this.liveWorkers.filter(({ host }) => !host.leaving && !host.paused);
  }

  apply(incident: Incident): void {
    const { kind, who, ms, how } = incident;
    const worker = pickBy(this.liveWorkers, who);
    const controlPlane = pickBy(
      this.controlPlanes.filter(({ host }) => host.alive),
      who,
    );
    this.#world.log("incident", `${kind} (who ${who}, ${ms} ms, how ${how})`);
    INCIDENTS[kind](this, { worker, controlPlane, ms, how });
  }

  /** Everything heals, and somebody is there to work. */
  endFaults(): void {
    this.#faultsAreOver = true;
    const { postgres, redis } = this.#world;
    postgres.weather.slow = 0;
    postgres.stallPublish(0);
    redis.weather.slow = 0;
    if (!postgres.up) postgres.restart();
    if (!redis.up) redis.start(false);
    for (const { host } of [...this.workers, ...this.controlPlanes]) {
      this.#heal(host, "postgres");
      this.#heal(host, "redis");
      host.resume();
    }
    if (this.#staying.length === 0) this.#startWorker();
    for (const name of ["cp-a", "cp-b"]) this.#ensureControlPlane(name);
  }

  #startWorker(name?: string): SimWorker {
    const number = this.#started++;
    const worker = new SimWorker(this.#world, name ?? `w${number}`, number, `r${this.#revision}`);
    this.workers.push(worker);
    return worker;
  }

  #startControlPlane(name: string): void {
    this.controlPlanes.push(new SimControlPlane(this.#world, name, this.#started++));
  }

  #ensureControlPlane(name: string): void {
    const isThere = this.controlPlanes.some((each) => each.name === name && each.host.alive);
    if (!isThere) this.#startControlPlane(name);
  }

  join(): void {
    if (this.liveWorkers.length < 6) this.#startWorker();
  }

  leave(worker: SimWorker | undefined): void {
    if (worker !== undefined && this.#staying.filter((each) => each !== worker).length > 0)
      worker.terminate();
  }

  /** A new one of a new revision comes first, as a surge pod does. */
  rollOut(worker: SimWorker | undefined, ms: number): void {
    this.#revision += 1;
    this.#startWorker();
    this.#world.timeline.after(ms, () => this.leave(worker));
  }

  crash(worker: SimWorker | undefined, restartAfterMs: number | null): void {
    if (worker === undefined) return;
    worker.host.crash();
    if (restartAfterMs === null) this.join();
    else this.#world.timeline.after(restartAfterMs, () => this.#startWorker(worker.name));
  }

  twin(worker: SimWorker | undefined): void {
    if (worker !== undefined && this.liveWorkers.length < 6) this.#startWorker(worker.name);
  }

  pause(process: SimWorker | SimControlPlane | undefined, ms: number): void {
    if (process === undefined) return;
    process.host.pause();
    this.#world.timeline.after(ms, () => process.host.resume());
  }

  endControlPlane(controlPlane: SimControlPlane | undefined, inOrder: boolean, ms: number): void {
    if (controlPlane === undefined) return;
    if (inOrder) controlPlane.terminate();
    else controlPlane.host.crash();
    this.#world.timeline.after(ms, () => this.#ensureControlPlane(controlPlane.name));
  }

  cut(
    process: SimWorker | SimControlPlane | undefined,
    store: "postgres" | "redis",
    ms: number,
    how: number,
  ): void {
    if (process === undefined || this.#faultsAreOver) return;
    const { host, clients } = process;
    const link = host.links[store];
    link.toStore = how % 3 === 1;
    link.toProcess = how % 3 === 2;
    if (store === "postgres") host.disturbed();
    else host.cutFromRedisAt = this.#world.timeline.now + ms;
    for (const client of clients) if (store === "redis") client.linkChanged();
    this.#world.timeline.after(ms, () => this.#heal(host, store));
  }

  #heal(host: Host, store: "postgres" | "redis"): void {
    host.links[store].toStore = true;
    host.links[store].toProcess = true;
    if (store !== "postgres") return;
    if (!host.wasUndisturbedFor(0)) host.disturbed();
    this.#world.held.release(host);
  }

  restartRedis(ms: number, isEmpty: boolean): void {
    const { redis, timeline } = this.#world;
    if (!redis.up) return;
    redis.stop();
    timeline.after(ms, () => {
      if (redis.up) return;
      redis.start(isEmpty);
      this.#world.judge.redisUpSince = timeline.now;
    });
  }

  replayHint(): void {
    this.#world.redis.replay();
  }

  stopPostgres(ms: number, lostMs: number | null): void {
    const { postgres, timeline } = this.#world;
    if (!postgres.up) return;
    if (lostMs === null) postgres.crash();
    else postgres.failOver(lostMs, lostMs % 2 === 0);
    timeline.after(ms, () => postgres.restart());
  }

  stepClock(ms: number): void {
    const { postgres, judge, timeline } = this.#world;
    postgres.stepClock(ms);
    judge.clockSteppedAt = timeline.now;
  }

  stallPublish(ms: number): void {
    this.#world.postgres.stallPublish(ms);
  }

  addRow(): void {
    if (this.#world.postgres.items.length < 30) this.#insertRow();
  }

  #insertRow(): void {
    const { postgres } = this.#world;
    const { items, csn } = postgres;
    const history = [{ csn, value: 0, lasttick: Number.NEGATIVE_INFINITY, worker: null }];
    items.push({
      id: `row${items.length}`,
      slot: this.#random.below(SLOTS),
      bornAtMs: postgres.clock(),
      history,
      lock: new Lock(),
    });
    items.sort((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1));
  }

  /** An operator asks a replica for another config: at once, or at a time; some do so at two replicas. */
  configure(ms: number, how: number): void {
    const replicas = this.controlPlanes.filter(({ host }) => host.alive);
    const inMs = how % 5 === 0 ? null : 300 + Math.min(ms, 1500);
    const change = (before: Config): Config => {
      const changes: Partial<Config>[] = [
        { increment: 1 + (how % 7) },
        { paused: !before.paused },
        { tickMs: [500, 1000, 2000][how % 3] ?? 1000 },
        { maxRowsPerSecond: before.maxRowsPerSecond === 0 ? 3 : 0 },
      ];
      return { ...before, ...changes[how % changes.length] };
    };
    for (const replica of how % 3 === 0 ? replicas : replicas.slice(0, 1)) {
      void replica.configure(change, inMs, how % 2 === 0);
    }
  }

  /** What `ringfleet migrate` leaves. */
  #insertFirstConfig(body: Config): void {
    const { postgres } = this.#world;
    const document = {
      kind: "config" as const,
      version: 1,
      activatesAtMs: 0,
      createdAtMs: postgres.clock(),
      createdBy: "migrate",
      reason: "initial",
      digest: configDigest(body),
      body,
    };
    const operator = { name: "operator", incarnation: 0 } as Host;
    postgres.commitDirectly(operator, { kind: "version", document, base: 0, holder: "", term: 0 });
  }
}

interface Target {
  worker: SimWorker | undefined;
  controlPlane: SimControlPlane | undefined;
  ms: number;
  how: number;
}

const INCIDENTS: Record<IncidentKind, (fleet: Fleet, target: Target) => void> = {
  join: (fleet) => fleet.join(),
  leave: (fleet, { worker }) => fleet.leave(worker),
  rollout: (fleet, { worker, ms }) => fleet.rollOut(worker, ms),
  configure: (fleet, { ms, how }) => fleet.configure(ms, how),
  "control plane leaves": (fleet, { controlPlane, ms }) => fleet.endControlPlane(controlPlane, true, ms),
  "control plane crashes": (fleet, { controlPlane, ms }) => fleet.endControlPlane(controlPlane, false, ms),
  "control plane pauses": (fleet, { controlPlane, ms }) => fleet.pause(controlPlane, ms),
  "redis restarts": (fleet, { ms }) => fleet.restartRedis(ms, false),
  "redis restarts empty": (fleet, { ms }) => fleet.restartRedis(ms, true),
  "redis replays": (fleet) => fleet.replayHint(),
  "worker cut from redis": (fleet, { worker, ms, how }) => fleet.cut(worker, "redis", ms, how),
  "control plane cut from redis": (fleet, { controlPlane, ms, how }) =>
    fleet.cut(controlPlane, "redis", ms, how),
  "control plane cut from postgres": (fleet, { controlPlane, ms, how }) =>
    fleet.cut(controlPlane, "postgres", ms, how),
  "add rows": (fleet) => fleet.addRow(),
  "worker crashes": (fleet, { worker }) => fleet.crash(worker, null),
  "worker crashes and restarts": (fleet, { worker, ms }) => fleet.crash(worker, ms / 4),
  "worker pauses": (fleet, { worker, ms }) => fleet.pause(worker, ms),
  "twin starts": (fleet, { worker }) => fleet.twin(worker),
  "worker cut from postgres": (fleet, { worker, ms, how }) => fleet.cut(worker, "postgres", ms, how),
  "postgres crashes": (fleet, { ms }) => fleet.stopPostgres(ms / 2, null),
  "postgres fails over": (fleet, { ms, how }) => fleet.stopPostgres(ms / 2, how),
  "postgres clock steps": (fleet, { ms, how }) => fleet.stepClock(how % 2 === 0 ? ms : -ms),
  "a publish stalls": (fleet, { ms }) => fleet.stallPublish(ms),
};

function pickBy<T>(items: readonly T[], who: number): T | undefined {
  return items[who % Math.max(1, items.length)];
}
