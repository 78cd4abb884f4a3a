import type { Bug } from "./bugs.js";
import { type Outcome, simulate } from "./simulate.js";

/** Leaves incidents out, one after the other, as long as the same rule is still violated. */
export async function shrink(found: Outcome, bug?: Bug): Promise<Outcome> {
  const rule = found.violations[0]?.rule;
  let smallest = found;
  for (let index = found.scenario.incidents.length - 1; index >= 0; index--) {
    const incidents = smallest.scenario.incidents.filter((_, other) => other !== index);
    const scenario = { ...smallest.scenario, incidents };
    const outcome = await simulate(found.seed, bug === undefined ? { scenario } : { scenario, bug });
    if (outcome.violations[0]?.rule === rule) smallest = outcome;
  }
  return smallest;
}

/** What a person needs to look into a failure. */
export function describeFailure({ seed, scenario, violations }: Outcome): string {
  const { incidents, ...rest } = scenario;
  const lines = [
    `seed ${seed}: ${violations.map(({ rule, at, message }) => `${rule} at ${at.toFixed(1)} ms: ${message}`).join("\n  ")}`,
    `  fleet: ${JSON.stringify(rest)}`,
    ...incidents.map(
      ({ at, kind, who, ms, how }) => `  ${at} ms: ${kind} (who ${who}, ${ms} ms, how ${how})`,
    ),
    `  replay: npm run simulate -- --seed ${seed} --log`,
  ];
  return lines.join("\n");
}
