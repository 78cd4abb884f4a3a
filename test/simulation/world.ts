import type { Logger } from "pino";
import { Registry } from "prom-client";
import { PlannerMetrics } from "../../control-plane/planner/planner-metrics.js";
import { TickMetrics } from "../../worker/tick/tick-metrics.js";
import type { Bug } from "./bugs.js";
import type { Judge } from "./judge.js";
import type { HeldTraffic } from "./postgres-connection.js";
import type { PostgresEngine } from "./postgres-engine.js";
import type { RedisModel } from "./redis-model.js";
import type { Timeline } from "./timeline.js";

export const SLOTS = 64;
export const FLEET = "00000000-0000-4000-8000-000000000001";
export const LIVENESS = { heartbeatMs: 500, deadAfterMs: 1500 };

/** What all simulated processes share: time, the stores, and the planted bug where there is one. */
export interface World {
  seed: number;
  timeline: Timeline;
  postgres: PostgresEngine;
  redis: RedisModel;
  held: HeldTraffic;
  judge: Judge;
  bug: Bug;
  log: (process: string, message: string) => void;
}

export function loggerOf(world: World, process: string): Logger {
  const say = (first: unknown, second?: string) =>
    world.log(process, second ?? (typeof first === "string" ? first : ""));
  const silent = () => undefined;
  return { info: say, warn: say, error: say, fatal: say, debug: silent, trace: silent } as unknown as Logger;
}

/** Metrics decide nothing: one set serves all simulated processes. */
export const TICK_METRICS = new TickMetrics(new Registry());
export const PLANNER_METRICS = new PlannerMetrics(new Registry());
/** For classes that register gauges of their own. */
export const NO_REGISTRY = { registerMetric: () => undefined } as unknown as Registry;
