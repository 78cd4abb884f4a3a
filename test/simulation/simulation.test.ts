import { expect, test } from "vitest";
import { type Scenario, scenarioOf } from "./scenario.js";
import { describeFailure, shrink } from "./shrink.js";
import { simulate } from "./simulate.js";

const FIXED_SEEDS = 1000;
const FRESH_SEEDS = 200;
const CRASHES = 200;
/** Each run must be long enough to mean something. */
const LEAST_EVENTS = 200;

async function expectNothingViolated(first: number, seeds: number): Promise<void> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let seed = first; seed < first + seeds; seed++) {
    const outcome = await simulate(seed);
    shortest = Math.min(shortest, outcome.events);
    if (outcome.violations.length > 0) expect.fail(describeFailure(await shrink(outcome)));
  }
  expect(shortest).toBeGreaterThanOrEqual(LEAST_EVENTS);
}

test(`S1-S4, S6, S7 and L1-L3 hold in ${FIXED_SEEDS} fixed histories`, async () => {
  await expectNothingViolated(1, FIXED_SEEDS);
});

test(`S1-S4, S6, S7 and L1-L3 hold in ${FRESH_SEEDS} histories never seen before`, async () => {
  await expectNothingViolated(Math.floor(Math.random() * 2 ** 40), FRESH_SEEDS);
});

/** One worker of several dies at work, and nothing else happens. */
function oneCrash(seed: number): Scenario {
  const at = 6000 + ((seed * 37) % 1000);
  const crash = { at, kind: "worker crashes" as const, who: seed, ms: 0, how: 0 };
  const mild = { slow: 0, redisSlow: 0, lost: 0.2, lateMs: 50 };
  return {
    ...scenarioOf(seed),
    ...mild,
    calm: false,
    workers: 2 + (seed % 4),
    tickMs: 1000,
    incidents: [crash],
  };
}

test(`L1: of ${CRASHES} crashes 95% leave at most 3 ticks unworked`, async () => {
  const gaps: number[] = [];
  for (let seed = 1; seed <= CRASHES; seed++) {
    const { violations, largestGap } = await simulate(seed, { scenario: oneCrash(seed) });
    expect(violations).toEqual([]);
    gaps.push(largestGap);
  }
  gaps.sort((a, b) => a - b);
  expect(gaps.filter((gap) => gap > 0).length, "crashes that were felt").toBeGreaterThan(CRASHES / 2);
  expect(gaps[Math.ceil(CRASHES * 0.95) - 1]).toBeLessThanOrEqual(3);
});

test("a seed replays: the same events, commits and views", async () => {
  for (const seed of [3, 18, 941]) {
    const { scenario: _, ...first } = await simulate(seed);
    const { scenario: __, ...second } = await simulate(seed);
    expect(second).toEqual(first);
  }
});
