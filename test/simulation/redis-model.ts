import type { Redis } from "ioredis";
import type { Host } from "./host.js";
import type { Random } from "./random.js";
import type { Timeline } from "./timeline.js";

export interface RedisWeather {
  /** Likelihoods for one published message. */
  lost: number;
  repeated: number;
  lateMs: number;
  /** Likelihood of a slow command, and how slow it may be. */
  slow: number;
  slowMs: number;
}

/** A Redis in memory: one hash, channels, and clients that lose it and find it again. */
export class RedisModel {
  readonly hash = new Map<string, string>();
  up = true;
  /** Grows with each start: connections belong to one. */
  generation = 0;
  readonly clients = new Set<RedisClient>();
  /** Messages that were on their way once: a replayed one is as good as a forged one. */
  readonly sent: string[] = [];

  constructor(
    readonly timeline: Timeline,
    readonly random: Random,
    readonly weather: RedisWeather,
  ) {}

  stop(): void {
    this.up = false;
    for (const client of [...this.clients]) client.connectionLost();
  }

  start(isEmpty: boolean): void {
    if (isEmpty) this.hash.clear();
    this.generation += 1;
    this.up = true;
  }

  publish(channel: string, message: string): number {
    if (channel !== "hints") return 0;
    if (this.sent.length < 50) this.sent.push(message);
    for (const client of this.clients) if (client.isSubscribed(channel)) this.#send(client, channel, message);
    return 1;
  }

  /** An old message comes once more, to everybody. */
  replay(): void {
    if (this.sent.length === 0) return;
    const message = this.random.pick(this.sent);
    for (const client of this.clients) if (client.isSubscribed("hints")) client.receive("hints", message, 1);
  }

  #send(client: RedisClient, channel: string, message: string): void {
    if (this.random.chance(this.weather.lost)) return;
    const late = () => this.random.between(0.1, this.weather.lateMs);
    client.receive(channel, message, late());
    if (this.random.chance(this.weather.repeated)) client.receive(channel, message, late());
  }
}

type Listener = (...values: string[]) => void;

/** What the product uses of an ioredis client, against the model. */
export class RedisClient {
  status: "ready" | "reconnecting" | "connecting" | "end" = "connecting";
  readonly #host: Host;
  readonly #model: RedisModel;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #channels = new Set<string>();
  readonly #wanted = new Set<string>();
  #connection = 0;
  #lastArrival = 0;

  constructor(host: Host, model: RedisModel) {
    this.#host = host;
    this.#model = model;
    host.onDead(() => this.disconnect());
    host.after(1, () => this.#connect());
  }

  /** The client as the product's types know it. */
  get asRedis(): Redis {
    return this as unknown as Redis;
  }

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  isSubscribed(channel: string): boolean {
    return this.#channels.has(channel);
  }

  receive(channel: string, message: string, lateMs: number): void {
    if (!this.#host.links.redis.toProcess) return;
    const connection = this.#connection;
    this.#host.after(lateMs, () => {
      if (connection === this.#connection && this.status === "ready") this.#emit("message", channel, message);
    });
  }

  connectionLost(): void {
    this.#model.clients.delete(this);
    this.#channels.clear();
    if (this.status === "end") return;
    this.#host.after(0.2, () => {
      if (this.status !== "ready") return;
      this.status = "reconnecting";
      this.#retry(0);
    });
  }

  disconnect(): void {
    this.status = "end";
    this.#model.clients.delete(this);
    this.#channels.clear();
  }

  /** Scripts of core/heartbeat.ts: a beat that refuses a lower incarnation, and the goodbye. */
  eval(script: string, _keys: number, _key: string, ...values: (string | number)[]): Promise<number> {
    const [name, , incarnation, json] = values as [string, string, number, string | undefined];
    const isBeat = script.includes("HSET");
    return this.#command(() => {
      const standing = this.#model.hash.get(name);
      const holder =
        standing === undefined ? 0 : (JSON.parse(standing) as { incarnation: number }).incarnation;
      if (!isBeat) return holder === incarnation && this.#model.hash.delete(name) ? 1 : 0;
      if (holder > incarnation) return holder;
      this.#model.hash.set(name, json ?? "");
      return 0;
    });
  }

  hgetall(): Promise<Record<string, string>> {
    return this.#command(() => Object.fromEntries(this.#model.hash));
  }

  pubsub(_subcommand: string, ...channels: string[]): Promise<(string | number)[]> {
    return this.#command(() =>
      channels.flatMap((channel) => {
        const count = [...this.#model.clients].filter((client) => client.isSubscribed(channel)).length;
        return [channel, count];
      }),
    );
  }

  publish(channel: string, message: string): Promise<number> {
    return this.#command(() => this.#model.publish(channel, message));
  }

  set(): Promise<string> {
    return this.#command(() => "OK");
  }

  subscribe(...channels: string[]): Promise<number> {
    return this.#command(() => {
      for (const channel of channels) {
        this.#channels.add(channel);
        this.#wanted.add(channel);
      }
      return channels.length;
    });
  }

  /** Commands of one connection arrive in order; one without an answer fails after a second. */
  #command<T>(run: () => T): Promise<T> {
    if (this.status !== "ready") return Promise.reject(new Error("Connection is closed."));
    const { timeline, weather, random } = this.#model;
    const way = () =>
      random.chance(weather.slow) ? random.between(0, weather.slowMs) : random.between(0.1, 0.6);
    const connection = this.#connection;
    const generation = this.#model.generation;
    return new Promise((resolve, reject) => {
      this.#host.after(1000, () => reject(new Error("Command timed out")));
      const arrivesAt = Math.max(timeline.now + way(), this.#lastArrival);
      this.#lastArrival = arrivesAt;
      timeline.after(arrivesAt - timeline.now, () => {
        const isThere = this.#model.up && this.#model.generation === generation;
        if (!isThere || !this.#host.links.redis.toStore || this.status === "end") return;
        const outcome = run();
        if (!this.#host.links.redis.toProcess) return;
        this.#host.after(way(), () => {
          if (connection === this.#connection) resolve(outcome);
        });
      });
    });
  }

  /** socketTimeout: a connection that answers nothing for 2 s is given up. */
  linkChanged(): void {
    const { toStore, toProcess } = this.#host.links.redis;
    if (toStore && toProcess) return;
    this.#host.after(2000, () => {
      const { toStore: canSend, toProcess: canReceive } = this.#host.links.redis;
      if (this.status === "ready" && !(canSend && canReceive)) {
        this.status = "reconnecting";
        // The server notices later than we do: until then it counts a subscriber that isn't there.
        const channels = [...this.#channels];
        this.#model.timeline.after(1500, () => {
          if (this.status !== "ready") for (const channel of channels) this.#channels.delete(channel);
        });
        this.#retry(0);
      }
    });
  }

  #retry(attempt: number): void {
    const ms = Math.min(1000, 50 * 2 ** Math.min(attempt, 5)) * (0.75 + this.#host.random.next() / 2);
    this.#host.after(ms, () => {
      if (this.status !== "reconnecting") return;
      if (!this.#connect()) this.#retry(attempt + 1);
    });
  }

  #connect(): boolean {
    const { toStore, toProcess } = this.#host.links.redis;
    if (this.status === "end") return true;
    if (!this.#model.up || !toStore || !toProcess) {
      if (this.status === "connecting") {
        this.status = "reconnecting";
        this.#retry(0);
      }
      return false;
    }
    this.#connection += 1;
    this.status = "ready";
    this.#model.clients.add(this);
    // ioredis subscribes again by itself to what was subscribed.
    for (const channel of this.#wanted) this.#channels.add(channel);
    this.#emit("ready");
    return true;
  }

  #emit(event: string, ...values: string[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...values);
  }
}
