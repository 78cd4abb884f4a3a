import { describe, expect, test } from "vitest";
import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.js";
import { type Outcome, simulate } from "./simulate.js";

const MOST_SEEDS = 1000;

/** The recorded seed first; where the product has changed since, any of the first thousand. */
async function firstFind(bug: PlantedBug): Promise<Outcome | null> {
  const seeds = [bug.foundBySeed, ...Array(MOST_SEEDS).keys()].filter((seed) => seed < MOST_SEEDS);
  for (const seed of seeds) {
    const outcome = await simulate(seed, { bug });
    if (outcome.violations.some(({ rule }) => rule === bug.breaks)) return outcome;
  }
  return null;
}

describe("the simulation finds planted bugs", () => {
  test.for(PLANTED_BUGS)("$name (seed $foundBySeed: $breaks)", async (bug) => {
    const found = await firstFind(bug);
    expect(found, `not found within ${MOST_SEEDS} seeds`).not.toBeNull();
    // The seed is sound without the bug: what was found is the bug.
    expect((await simulate(found?.seed ?? 0)).violations).toEqual([]);
  });
});
