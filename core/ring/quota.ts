/** A seat's share of the rows and how far it may be off. */
export interface Quota {
  /** Its exact share: total rows by weight. */
  rows: number;
  /** Whole rows that count as balanced: within 1% of the share, or one row. */
  least: number;
  most: number;
}

const TOLERANCE = 0.01;

/** Quotas of seats with these weights. */
export function quotasOf(weights: readonly number[], totalRows: number): Quota[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => quotaOf(weight, sum, totalRows));
}

/** Quota of one seat, which has `weight` of the fleet's `totalWeight`. */
export function quotaOf(weight: number, totalWeight: number, totalRows: number): Quota {
  const rows = (totalRows * weight) / totalWeight;
  const tolerance = Math.max(rows * TOLERANCE, 1);
  // The small shift keeps whole shares from losing a row to rounding.
  return {
    rows,
    least: Math.max(0, Math.ceil(rows - tolerance - 1e-9)),
    most: Math.floor(rows + tolerance + 1e-9),
  };
}

/**
 * Whole rows that each seat shall hold: what it keeps, if that is balanced, else the nearest that is; what is
 * left to give out or to take goes level by level, so that the emptiest receive and the fullest give. Their sum
 * is the total; the fewest rows move.
 *
 * `kept` are the rows of slots that stay with each seat.
 */
export function targetsOf(quotas: readonly Quota[], kept: readonly number[], totalRows: number): number[] {
  const targets = quotas.map((quota, seat) => clamp(kept[seat] ?? 0, quota.least, quota.most));
  const sum = targets.reduce((total, rows) => total + rows, 0);
  const missing = totalRows - sum;
  if (missing > 0) fill(targets, quotas, missing);
  else if (missing < 0) drain(targets, quotas, -missing);
  return targets;
}

/** Raises the targets that are furthest below their share, none above what counts as balanced. */
function fill(targets: number[], quotas: readonly Quota[], missing: number): void {
  const level = findLevel((at) => {
    let given = 0;
    targets.forEach((rows, seat) => {
      const quota = quotas[seat];
      if (quota !== undefined) given += Math.max(0, floorTo(quota, at) - rows);
    });
    return given <= missing;
  });
  let left = missing;
  targets.forEach((rows, seat) => {
    const quota = quotas[seat];
    if (quota === undefined) return;
    const raised = Math.max(rows, floorTo(quota, level));
    left -= raised - rows;
    targets[seat] = raised;
  });
  spread(
    left,
    targets,
    (rows, seat) => (rows < (quotas[seat]?.most ?? 0) ? (quotas[seat]?.rows ?? 0) - rows : null),
    1,
  );
}

/** Lowers the targets that are furthest above their share, none below what counts as balanced. */
function drain(targets: number[], quotas: readonly Quota[], surplus: number): void {
  const level = findLevel((at) => {
    let taken = 0;
    targets.forEach((rows, seat) => {
      const quota = quotas[seat];
      if (quota !== undefined) taken += Math.max(0, rows - ceilTo(quota, 2 - at));
    });
    return taken <= surplus;
  });
  let left = surplus;
  targets.forEach((rows, seat) => {
    const quota = quotas[seat];
    if (quota === undefined) return;
    const lowered = Math.min(rows, ceilTo(quota, 2 - level));
    left -= rows - lowered;
    targets[seat] = lowered;
  });
  spread(
    left,
    targets,
    (rows, seat) => (rows > (quotas[seat]?.least ?? 0) ? rows - (quotas[seat]?.rows ?? 0) : null),
    -1,
  );
}

/** Gives out the last few rows one by one, to whoever wants it most; at equal want the lower seat. */
function spread(
  count: number,
  targets: number[],
  want: (rows: number, seat: number) => number | null,
  step: 1 | -1,
): void {
  let left = count;
  while (left > 0) {
    const wanting = targets
      .map((rows, seat) => ({ seat, want: want(rows, seat) }))
      .filter((entry): entry is { seat: number; want: number } => entry.want !== null)
      .sort((a, b) => b.want - a.want || a.seat - b.seat);
    if (wanting.length === 0) return;
    for (const { seat } of wanting.slice(0, left)) {
      targets[seat] = (targets[seat] ?? 0) + step;
      left -= 1;
    }
  }
}

/** The highest level (1 = everybody's exact share) that still fits, found by bisection. */
function findLevel(fits: (level: number) => boolean): number {
  let low = 0;
  let high = 2;
  for (let round = 0; round < 50; round++) {
    const middle = (low + high) / 2;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function floorTo(quota: Quota, level: number): number {
  return Math.min(quota.most, Math.floor(quota.rows * level));
}

function ceilTo(quota: Quota, level: number): number {
  return Math.max(quota.least, Math.ceil(quota.rows * level));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
