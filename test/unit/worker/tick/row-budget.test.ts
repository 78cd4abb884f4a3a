import { expect, test } from "vitest";
import { rowBudget } from "../../../../worker/tick/row-budget.js";

const NOON = Date.parse("2026-11-21T12:00:00Z");

test.each([
  [100, 5],
  [100, 12],
  [250, 10],
  [1000, 7],
  [2000, 10_000_000],
])("ticks of %i ms add up to %i rows a second", (tickMs, rate) => {
  const ticks = 60_000 / tickMs;
  const budgets = Array.from({ length: ticks }, (_, n) => rowBudget(rate, NOON + n * tickMs, tickMs) ?? -1);
  expect(budgets.reduce((sum, rows) => sum + rows, 0)).toBe(60 * rate);
  expect(Math.max(...budgets) - Math.min(...budgets)).toBeLessThanOrEqual(1);
});

test("0 is no bound", () => {
  expect(rowBudget(0, NOON, 1000)).toBeNull();
});
