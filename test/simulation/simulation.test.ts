import { expect, test } from "vitest";
import { describeFailure, shrink } from "./shrink.js";
import { simulate } from "./simulate.js";

const FIXED_SEEDS = 1000;
const FRESH_SEEDS = 200;
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

test("a seed replays: the same events, commits and views", async () => {
  for (const seed of [3, 18, 941]) {
    const { scenario: _, ...first } = await simulate(seed);
    const { scenario: __, ...second } = await simulate(seed);
    expect(second).toEqual(first);
  }
});
