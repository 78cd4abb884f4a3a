// How long a webhook takes to the last of 100 followers: 10 real worker processes and 90 followers in this one,
// beside the floor of the same run: a bare INSERT, COMMIT and PUBLISH to 100 raw subscribers.
// Run: npm run bench:webhook [-- rounds rows]
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Redis } from "ioredis";
import pg from "pg";
import { Webhook } from "standardwebhooks";
import { fleetId } from "../core/postgres/schema.js";
import { closeRedis, connectRedis } from "../core/redis/connection.js";
import { HintSubscriber } from "../core/redis/hint-subscriber.js";
import { redisKeys } from "../core/redis/keys.js";
import { DEFAULT_CONFIG } from "../core/versions/config.js";
import { VersionFollower } from "../core/versions/version-follower.js";
import { type BenchFleet, startBenchFleet } from "./webhook/bench-fleet.js";

const [rounds = 300, rows = 1000] = process.argv.slice(2).map(Number);
const WORKERS = 10;
const FOLLOWERS = 90;
const WARM_UP = 20;
const PAUSE_MS = 30;
const SECRET = `whsec_${randomBytes(32).toString("base64")}`;

/** Wall clock in ms with fractions, comparable with that of the other processes of this machine. */
const now = () => performance.timeOrigin + performance.now();

/** Collects, for one round after the other, when each of so many heard of it. */
class Gathering {
  readonly #size: number;
  readonly #heard = new Map<string, number>();
  #round = -1;
  #done: (lastAt: number) => void = () => undefined;

  constructor(size: number) {
    this.#size = size;
  }

  /** Resolves with the time at which the last has heard of `round`. */
  of(round: number): Promise<number> {
    this.#round = round;
    this.#heard.clear();
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`round ${round}: only ${this.#heard.size} heard`)),
        10_000,
      );
      this.#done = (lastAt) => {
        clearTimeout(late);
        resolve(lastAt);
      };
    });
  }

  heard(who: string, round: number, at: number): void {
    if (round !== this.#round || this.#heard.has(who)) return;
    this.#heard.set(who, at);
    if (this.#heard.size === this.#size) this.#done(Math.max(...this.#heard.values()));
  }
}

async function startFloor(
  fleet: BenchFleet,
): Promise<{ round: (round: number) => Promise<number>; stop(): Promise<void> }> {
  const gathering = new Gathering(WORKERS + FOLLOWERS);
  const client = new pg.Client({ connectionString: fleet.databaseUrl });
  await client.connect();
  await client.query("CREATE TABLE bench_floor (round int, body jsonb)");
  const publisher = new Redis(fleet.redisUrl);
  const subscribers = Array.from({ length: WORKERS + FOLLOWERS }, () => new Redis(fleet.redisUrl));
  await Promise.all(
    subscribers.map(async (subscriber, index) => {
      subscriber.on("message", (_channel, message) => {
        gathering.heard(String(index), Number.parseInt(message, 10), now());
      });
      await subscriber.subscribe("bench");
    }),
  );
  // As large as the announcement of a config.
  const padding = " ".repeat(450);
  return {
    async round(round) {
      const lastAt = gathering.of(round);
      const startedAt = now();
      await client.query("INSERT INTO bench_floor VALUES ($1, $2)", [round, JSON.stringify(DEFAULT_CONFIG)]);
      await publisher.publish("bench", `${round}${padding}`);
      return (await lastAt) - startedAt;
    },
    async stop() {
      await client.end();
      for (const redis of [publisher, ...subscribers]) redis.disconnect();
    },
  };
}

async function startFollowers(fleet: BenchFleet, gathering: Gathering): Promise<() => void> {
  const id = await fleetId(fleet.db);
  const connections = Array.from({ length: FOLLOWERS }, async (_, index) => {
    const redis = connectRedis({
      address: { url: fleet.redisUrl, tls: null, sentinel: null },
      connectionName: "bench",
      onError: (error) => console.error(error.message),
    });
    const follower = new VersionFollower(fleet.db);
    const subscriber = new HintSubscriber({
      redis,
      keys: redisKeys(""),
      fleet: id,
      aliveAs: null,
      onHint: (hint) => {
        if (hint.type !== "version" || !follower.accept(hint.document)) return;
        const { version, digest } = hint.document;
        // Opened, and its digest recomputed: this follower could work under it now. What isn't heard is missed.
        follower.config(version, digest).then(
          (config) => gathering.heard(String(index), config.increment - 1, now()),
          (error) => console.error(error),
        );
      },
    });
    await once(redis, "ready");
    await subscriber.step();
    return redis;
  });
  const subscribed = await Promise.all(connections);
  return () => {
    for (const redis of subscribed) closeRedis(redis);
  };
}

async function webhook(fleet: BenchFleet, round: number, lastAt: Promise<number>): Promise<number> {
  const body = JSON.stringify({ ...DEFAULT_CONFIG, increment: round + 1 });
  const id = `msg_${round}`;
  const sentAt = new Date();
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(sentAt.getTime() / 1000)),
    "webhook-signature": new Webhook(SECRET).sign(id, sentAt, body),
  };
  const startedAt = now();
  const response = await fetch(`${fleet.controlUrl}/v1/webhooks/config`, { method: "POST", headers, body });
  if (response.status !== 200) throw new Error(await response.text());
  await response.arrayBuffer();
  return (await lastAt) - startedAt;
}

function told(name: string, times: number[]): { p50: number; p99: number } {
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.ceil(part * times.length) - 1)] ?? 0;
  const [p50, p99] = [at(0.5), at(0.99)];
  console.log(
    `${name.padEnd(42)} p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms  max ${at(1).toFixed(1)} ms`,
  );
  return { p50, p99 };
}

const gathering = new Gathering(WORKERS + FOLLOWERS);
/** The round in which each config version was published. */
const roundOfVersion = (version: number) => version - 1;
const fleet = await startBenchFleet({ workers: WORKERS, rows, webhookSecret: SECRET }, (process, line) => {
  const version = /^config (\d+) is known/.exec(line.msg)?.[1];
  // The log's clock is cut to milliseconds: the end of that millisecond counts.
  if (version !== undefined)
    gathering.heard(process, roundOfVersion(Number(version)), Date.parse(line.time) + 1);
});
const stopFollowers = await startFollowers(fleet, gathering);
const floor = await startFloor(fleet);
const [floorTimes, webhookTimes]: [number[], number[]] = [[], []];
try {
  for (let round = 1; round <= WARM_UP + rounds; round++) {
    const bare = await floor.round(round);
    const whole = await webhook(fleet, round, gathering.of(round));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (round <= WARM_UP) continue;
    floorTimes.push(bare);
    webhookTimes.push(whole);
  }
} finally {
  stopFollowers();
  await floor.stop();
  await fleet.stop();
}
console.log(
  `${rounds} rounds, ${WORKERS} worker processes at work on ${rows} rows, ${FOLLOWERS} followers in one process`,
);
const bare = told("floor: INSERT, COMMIT, PUBLISH to 100", floorTimes);
const whole = told("webhook to the last of 100", webhookTimes);
const ratio = whole.p99 / bare.p99;
console.log(
  `p99 is ${ratio.toFixed(2)} × the floor's (bound: 3), ${whole.p99 <= 20 ? "within" : "beyond"} the mark of 20 ms`,
);
process.exitCode = ratio <= 3 ? 0 : 1;
