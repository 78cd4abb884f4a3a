import type { Member } from "./membership.js";

/** How long a sealed tick waits for the rows of a worker whose subscription is gone. */
export const UNWORKED_AFTER_MS = 300;
/** A worker is unfit once others have finished this many ticks after its last. */
const UNFIT_AFTER_ADVANCES = 3;

export interface LivenessSettings {
  heartbeatMs: number;
  deadAfterMs: number;
}

/** What Postgres says of a seat's rows. Without rows, while paused or with a bound on rows, silence alone decides. */
export interface WorkEvidence {
  /** Some of its rows have been worked by somebody before. */
  hasRows: boolean;
  /** Milliseconds since the newest tick that is at least 300 ms old; Infinity without one. */
  newestTickAgeMs: number;
  /** The config sealed for that tick asks for every row: neither paused nor with a bound on rows. */
  asksForAll: boolean;
  /** It worked some of its rows in that tick or a later one. */
  workedNewestTick: boolean;
  /** It worked some of its rows in a tick younger than max(DEAD_AFTER_MS, 1.5 ticks). */
  workedLately: boolean;
  /** The view that says which rows are its own is as old as that. */
  ringIsSettled: boolean;
}

export type Verdict = "live" | "leaving" | "superseded" | "dead" | "unfit";

/** Newest finished tick among live members (epoch ms), and when any of them last advanced; null without one. */
export interface FleetProgress {
  lastTick: number;
  tickMs: number;
}

/** Whether a seated member gives reason to ask Postgres about its rows. */
export function isSuspect(
  member: Member,
  progress: FleetProgress | null,
  settings: LivenessSettings,
  now: number,
): boolean {
  return (
    isSilent(member, settings, now) ||
    hasVanished(member, settings, now) ||
    lagsBehind(member, progress, settings, now)
  );
}

/**
 * Judges a seated member. `evidence` is null where Postgres couldn't be asked or the member is no suspect:
 * then nobody is declared dead.
 */
export function judge(
  member: Member,
  newestOfName: number,
  progress: FleetProgress | null,
  evidence: WorkEvidence | null,
  settings: LivenessSettings,
  now: number,
): Verdict {
  if (newestOfName > member.incarnation) return "superseded";
  if (evidence !== null) {
    if (isSilent(member, settings, now) && stoodStill(evidence)) return "dead";
    if (hasVanished(member, settings, now) && leftTickUnworked(member, evidence, now)) return "dead";
    if (lagsBehind(member, progress, settings, now) && stoodStill(evidence)) return "unfit";
  }
  return member.heartbeat?.state === "leaving" ? "leaving" : "live";
}

/** Silent for DEAD_AFTER_MS while Redis was continuously reachable (Membership excuses everybody otherwise). */
export function isSilent(member: Member, settings: LivenessSettings, now: number): boolean {
  return now - member.beatAt >= settings.deadAfterMs;
}

/** Its subscription is gone and a beat is missing. */
function hasVanished(member: Member, settings: LivenessSettings, now: number): boolean {
  return member.unsubscribedAt !== null && now - member.beatAt > settings.heartbeatMs * 1.2;
}

/**
 * Nobody worked its rows as it. Where a tick asks for some rows only, those that it worked lately may be ones that
 * a younger view has given away.
 */
function stoodStill(evidence: WorkEvidence): boolean {
  return !evidence.workedLately && (evidence.asksForAll || evidence.ringIsSettled);
}

/** A tick sealed since its subscription went is old enough, with none of its rows worked. */
function leftTickUnworked(member: Member, evidence: WorkEvidence, now: number): boolean {
  const goneForMs = now - (member.unsubscribedAt ?? now);
  return (
    evidence.hasRows &&
    evidence.asksForAll &&
    !evidence.workedNewestTick &&
    evidence.newestTickAgeMs >= UNWORKED_AFTER_MS &&
    evidence.newestTickAgeMs < goneForMs
  );
}

/** It beats, but finishes no tick while others go on. */
export function lagsBehind(
  member: Member,
  progress: FleetProgress | null,
  settings: LivenessSettings,
  now: number,
): boolean {
  if (progress === null || member.heartbeat === null) return false;
  const patienceMs = Math.max(settings.deadAfterMs, 1.5 * progress.tickMs);
  return member.missedAdvances >= UNFIT_AFTER_ADVANCES && now - member.missedSince >= patienceMs;
}
