import { expect, test } from "vitest";
import { Removals } from "../../../../control-plane/planner/removals.js";

test("removals count for a minute, each name by itself", () => {
  const removals = new Removals();
  removals.add("a", 0);
  removals.add("a", 30_000);
  removals.add("b", 30_000);
  expect(removals.count("a", 59_999)).toBe(2);
  expect(removals.count("a", 60_000)).toBe(1);
  expect(removals.count("a", 90_000)).toBe(0);
  expect(removals.count("b", 31_000)).toBe(1);
  expect(removals.count("c", 31_000)).toBe(0);
});

test("names that never come back are forgotten", () => {
  const removals = new Removals();
  for (let pod = 0; pod < 1000; pod++) removals.add(`pod-${pod}`, pod * 10_000);
  expect(removals.size).toBeLessThanOrEqual(7);
});
