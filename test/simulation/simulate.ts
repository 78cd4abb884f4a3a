import { type Bug, NO_BUG } from "./bugs.js";
import { Fleet } from "./fleet.js";
import { Judge, type Violation } from "./judge.js";
import { HeldTraffic } from "./postgres-connection.js";
import { PostgresEngine } from "./postgres-engine.js";
import { Random } from "./random.js";
import { RedisModel } from "./redis-model.js";
import { LAST_AT_MS, type Scenario, scenarioOf } from "./scenario.js";
import { Timeline } from "./timeline.js";
import type { World } from "./world.js";

/** After faults: when the fleet is first asked whether it works again, and when it has to. */
const ASKED_AFTER_MS = 3500;
const WORKS_AFTER_MS = 8000;
/** It is judged by its newest whole ticks, and so many pass on the way. */
const JUDGED_TICKS = 4;

export interface Outcome {
  seed: number;
  scenario: Scenario;
  violations: Violation[];
  /** Steps of virtual time: statements, turns at the server, commits, messages, timers. */
  events: number;
  rowsWorked: number;
  /** The most ticks that one row lost. */
  largestGap: number;
  ticksSealed: number;
  viewsPublished: number;
  virtualMs: number;
}

export interface RunOptions {
  bug?: Bug;
  /** Instead of what the seed gives: with incidents left out. */
  scenario?: Scenario;
  log?: (atMs: number, process: string, message: string) => void;
}

/** Runs one seed to its end, or to the first violation. The same seed and options give the same run. */
export async function simulate(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const scenario = options.scenario ?? scenarioOf(seed);
  const timeline = new Timeline();
  const judge = new Judge();
  judge.losesNothing = scenario.calm;
  judge.redisIsMild = scenario.redisSlow === 0 || scenario.redisSlowMs <= 50;
  const postgres = new PostgresEngine(
    timeline,
    new Random(seed, 3),
    { slow: scenario.slow, slowMs: scenario.slowMs },
    judge,
  );
  judge.watch(postgres);
  const world: World = {
    seed,
    timeline,
    postgres,
    redis: new RedisModel(timeline, new Random(seed, 4), {
      ...scenario,
      slow: scenario.redisSlow,
      slowMs: scenario.redisSlowMs,
    }),
    held: new HeldTraffic(),
    judge,
    bug: options.bug ?? NO_BUG,
    log: (process, message) => options.log?.(timeline.now, process, message),
  };
  const fleet = new Fleet(world, scenario);
  for (const incident of scenario.incidents) timeline.after(incident.at, () => fleet.apply(incident));
  const run = (until: number) => runUntil(timeline, judge, until);
  await run(LAST_AT_MS + 500);
  if (judge.violations.length === 0) {
    fleet.endFaults();
    await recover(timeline, judge, postgres, run);
  }
  for (const { host } of [...fleet.workers, ...fleet.controlPlanes]) host.crash();
  return {
    seed,
    scenario,
    violations: judge.violations,
    events: timeline.steps,
    rowsWorked: judge.rowsWorked,
    largestGap: judge.largestGap(),
    ticksSealed: judge.ticksSealed,
    viewsPublished: judge.viewsPublished,
    virtualMs: timeline.now,
  };
}

async function runUntil(timeline: Timeline, judge: Judge, until: number): Promise<void> {
  while (judge.violations.length === 0 && timeline.step(until)) {
    // Promises that the step has settled run before the next one.
    await new Promise(setImmediate);
  }
}

async function recover(
  timeline: Timeline,
  judge: Judge,
  postgres: PostgresEngine,
  run: (until: number) => Promise<void>,
): Promise<void> {
  const behindMs = Math.max(0, (judge.newestTick?.tickMs ?? 0) - postgres.clock());
  const startedAt = timeline.now + behindMs;
  await run(startedAt + ASKED_AFTER_MS);
  while (judge.violations.length === 0) {
    const unfinished = judge.unfinished(postgres.clock());
    if (unfinished === null) return;
    const ticksMs = Math.max(4000, JUDGED_TICKS * judge.strideMs);
    if (timeline.now >= startedAt + WORKS_AFTER_MS + ticksMs) judge.liveness(unfinished);
    else await run(timeline.now + 500);
  }
}
