/** What the rules need of a config version, highest first or in any order. Times: the database's epoch ms. */
export interface ScheduledConfig {
  version: number;
  activatesAtMs: number;
  tickMs: number;
}

/** In this time an announcement reaches every worker, or its poll does. */
export const LEAD_MS = 250;

/** Who is told the earliest possible time has this long to ask for it. */
const ASK_AGAIN_MS = 1000;

export type Placement =
  | { kind: "at"; activatesAtMs: number }
  | { kind: "too_soon"; earliestMs: number }
  | { kind: "pending"; version: number };

export interface PlacementRequest<V extends ScheduledConfig> {
  versions: readonly V[];
  nowMs: number;
  /** Null: as soon as every worker can know. */
  wantedMs: number | null;
  /** Whether this pending version, which would never rule any more, may be given up. */
  mayReplace: (pending: V) => boolean;
}

/** The version that rules at `atMs`: the highest that is active by then. */
export function rulingAt<V extends ScheduledConfig>(versions: readonly V[], atMs: number): V | null {
  let ruling: V | null = null;
  for (const each of versions) {
    if (each.activatesAtMs <= atMs && each.version > (ruling?.version ?? 0)) ruling = each;
  }
  return ruling;
}

/** Versions still to come, soonest first; those that a higher version with an earlier activation shadows never come. */
export function pendingConfigs<V extends ScheduledConfig>(versions: readonly V[], nowMs: number): V[] {
  return versions
    .filter((each) => each.activatesAtMs > nowMs && rulingAt(versions, each.activatesAtMs) === each)
    .sort((a, b) => a.activatesAtMs - b.activatesAtMs);
}

/** Whether a pending version only repeats the content that rules before it, as one does that cancelled another. */
export function repeatsContent<V extends ScheduledConfig & { digest: string }>(
  versions: readonly V[],
  pending: V,
): boolean {
  return rulingAt(versions, pending.activatesAtMs - 1)?.digest === pending.digest;
}

/**
 * When a new config activates: on the grid in force by then, never sooner than the lead time, never unseen ahead
 * of a pending one. As soon as possible means: after one that is about to rule at just that moment.
 */
export function placeConfig<V extends ScheduledConfig>(request: PlacementRequest<V>): Placement {
  const { versions, nowMs, wantedMs, mayReplace } = request;
  const knownByMs = nowMs + LEAD_MS;
  if (wantedMs !== null && wantedMs < knownByMs) {
    const earliest = placeConfig({ ...request, nowMs: nowMs + ASK_AGAIN_MS, wantedMs: null });
    return earliest.kind === "at" ? { kind: "too_soon", earliestMs: earliest.activatesAtMs } : earliest;
  }
  let activatesAtMs = roundUpToGrid(versions, wantedMs ?? knownByMs);
  for (const pending of pendingConfigs(versions, nowMs)) {
    if (pending.activatesAtMs < activatesAtMs || mayReplace(pending)) continue;
    if (wantedMs !== null || pending.activatesAtMs > activatesAtMs) {
      return { kind: "pending", version: pending.version };
    }
    activatesAtMs = roundUpToGrid(versions, activatesAtMs + 1);
  }
  return { kind: "at", activatesAtMs };
}

/** A later grid may begin before the boundary that the earlier one gives: then its own boundaries count. */
function roundUpToGrid(versions: readonly ScheduledConfig[], atMs: number): number {
  let roundedMs = atMs;
  for (let round = 0; round <= versions.length; round += 1) {
    const ruling = rulingAt(versions, roundedMs);
    if (ruling === null) return roundedMs;
    const boundaryMs = Math.ceil(roundedMs / ruling.tickMs) * ruling.tickMs;
    const atBoundary = rulingAt(versions, boundaryMs);
    if (boundaryMs === roundedMs || atBoundary === ruling) return boundaryMs;
    // Never beyond the activation of the next grid: it may have an earlier boundary.
    roundedMs = Math.min(
      ...versions
        .filter((each) => each.version > ruling.version && each.activatesAtMs > roundedMs)
        .map((each) => each.activatesAtMs),
    );
  }
  return roundedMs;
}
