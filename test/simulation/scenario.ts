import { Random } from "./random.js";

/** Something that happens to the fleet. `who` picks among those it can happen to; `ms` and `how` say how much. */
export interface Incident {
  at: number;
  kind: IncidentKind;
  who: number;
  ms: number;
  how: number;
}

/** What a fleet goes through in ordinary life, Redis and the control plane lost included: it loses no tick by it. */
const PLANNED = [
  "join",
  "leave",
  "rollout",
  "configure",
  "control plane leaves",
  "control plane crashes",
  "control plane pauses",
  "redis restarts",
  "redis restarts empty",
  "redis replays",
  "worker cut from redis",
  "control plane cut from redis",
  "control plane cut from postgres",
  "add rows",
] as const;

/** What may cost ticks, but never correctness. */
const FAULTS = [
  "worker crashes",
  "worker crashes and restarts",
  "worker pauses",
  "twin starts",
  "worker cut from postgres",
  "postgres crashes",
  "postgres fails over",
  "postgres clock steps",
  "a publish stalls",
] as const;

export type IncidentKind = (typeof PLANNED)[number] | (typeof FAULTS)[number];

export interface Scenario {
  /** Planned changes, and faults that must cost nothing, only. */
  calm: boolean;
  workers: number;
  rows: number;
  tickMs: number;
  /** Likelihood and length of slow turns of Postgres, of Redis, and what becomes of hints. */
  slow: number;
  slowMs: number;
  redisSlow: number;
  redisSlowMs: number;
  lost: number;
  repeated: number;
  lateMs: number;
  incidents: Incident[];
}

/** When the first incident may come: the fleet has its first view by then. */
const FIRST_AT_MS = 2500;
export const LAST_AT_MS = 16_000;

/** What a seed means: drawn before anything runs, so that single incidents can be left out afterwards. */
export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed, 1);
  const calm = random.chance(0.4);
  const kinds: readonly IncidentKind[] = calm ? PLANNED : [...PLANNED, ...FAULTS, ...FAULTS];
  // Swarm testing: each run sees some kinds only, and these often.
  const chosen = kinds.filter(() => random.chance(0.5));
  const count = 5 + random.below(14);
  const incidents = Array.from({ length: count }, () => ({
    at: Math.round(random.between(FIRST_AT_MS, LAST_AT_MS)),
    kind: random.pick(chosen.length === 0 ? kinds : chosen),
    who: random.below(1000),
    ms: Math.round(random.between(50, 4000)),
    how: random.below(1000),
  })).sort((a, b) => a.at - b.at);
  return {
    calm,
    workers: 1 + random.below(4),
    rows: 8 + random.below(12),
    tickMs: random.pick([500, 1000, 1000, 1000, 2000]),
    slow: random.pick(calm ? [0, 0.02, 0.05] : [0, 0.02, 0.05, 0.1]),
    slowMs: random.pick(calm ? [60, 120] : [100, 400, 1200]),
    redisSlow: random.pick([0, 0.05, 0.2]),
    redisSlowMs: random.pick([50, 400, 1500]),
    lost: random.pick([0, 0.2, 0.9]),
    repeated: random.pick([0, 0.2]),
    lateMs: random.pick([1, 50, 2000]),
    incidents,
  };
}
