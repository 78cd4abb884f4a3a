/** Keeps products of a time and a rate within exact integers. */
const DAY_MS = 86_400_000;

/**
 * Rows that this tick may work, so that ticks of any length add up to `maxRowsPerSecond`; null where that is 0,
 * unlimited. Shorter ticks than the rate has rows get none now and then.
 */
export function rowBudget(maxRowsPerSecond: number, tickAtMs: number, tickMs: number): number | null {
  if (maxRowsPerSecond === 0) return null;
  const from = tickAtMs % DAY_MS;
  const rowsUntil = (atMs: number) => Math.floor((atMs * maxRowsPerSecond) / 1000);
  return rowsUntil(from + tickMs) - rowsUntil(from);
}
