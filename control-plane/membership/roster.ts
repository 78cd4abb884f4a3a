import type { RingSnapshot } from "../../core/ring/view.js";
import type { Member, Membership } from "./membership.js";
import { type FleetProgress, isSilent, type LivenessSettings, lagsBehind } from "./verdict.js";

export type WorkerState = "seated" | "joining" | "leaving" | "silent" | "unfit";

/** One line of the roster: a worker and how it stands. */
export interface RosterEntry {
  member: Member;
  state: WorkerState;
  seat: number | null;
}

/** Different beats of a newcomer before it counts: one alone may be the last of a dead process. */
const BEATS_TO_COUNT = 2;

/** Everybody this replica knows, seated first. */
export function rosterOf(
  membership: Membership,
  ring: RingSnapshot | null,
  progress: FleetProgress | null,
  settings: LivenessSettings,
  now: number,
): RosterEntry[] {
  return membership
    .all()
    .map((member) => {
      const seat = ring?.seatOf(member.incarnation) ?? null;
      return { member, seat, state: stateOf(member, seat, progress, settings, now) };
    })
    .sort(
      (a, b) =>
        (a.seat ?? Number.MAX_SAFE_INTEGER) - (b.seat ?? Number.MAX_SAFE_INTEGER) ||
        a.member.incarnation - b.member.incarnation,
    );
}

function stateOf(
  member: Member,
  seat: number | null,
  progress: FleetProgress | null,
  settings: LivenessSettings,
  now: number,
): WorkerState {
  if (isSilent(member, settings, now)) return "silent";
  if (member.heartbeat?.state === "leaving") return "leaving";
  if (lagsBehind(member, progress, settings, now)) return "unfit";
  return seat === null ? "joining" : "seated";
}

/** Who may sit in the next view: of this fleet, beating, the newest of its name, and keeping up with the ticks. */
export function eligibleJoiners(
  membership: Membership,
  seated: ReadonlySet<number>,
  progress: FleetProgress | null,
  settings: LivenessSettings,
  now: number,
): Member[] {
  return membership.all().filter((member) => {
    if (seated.has(member.incarnation) || member.heartbeat === null) return false;
    if (member.heartbeat.state === "leaving" || member.beats < BEATS_TO_COUNT) return false;
    if (isSilent(member, settings, now) || member.unsubscribedAt !== null) return false;
    if (membership.newestOf(member.name) > member.incarnation) return false;
    return keepsUp(member, progress, settings);
  });
}

/** Whether somebody beats who may soon be eligible, but has not been seen long enough: it would be missed. */
export function hasNewcomers(
  membership: Membership,
  seated: ReadonlySet<number>,
  settings: LivenessSettings,
  now: number,
): boolean {
  return membership.all().some((member) => {
    const { heartbeat, incarnation, name } = member;
    if (heartbeat === null || heartbeat.state === "leaving" || seated.has(incarnation)) return false;
    return !isSilent(member, settings, now) && membership.newestOf(name) === incarnation;
  });
}

/**
 * A joiner opens ticks without a slice, too: one that doesn't can't reach Postgres. What it says is as old as its
 * last beat, which with short ticks is several of them.
 */
function keepsUp(member: Member, progress: FleetProgress | null, settings: LivenessSettings): boolean {
  if (progress === null) return true;
  const slackMs = 1.5 * progress.tickMs + Math.max(progress.tickMs, 2 * settings.heartbeatMs);
  return progress.lastTick - (member.heartbeat?.lastTick ?? 0) <= slackMs;
}

/** The newest tick that any beating member has finished. */
export function fleetProgress(
  membership: Membership,
  tickMs: number,
  settings: LivenessSettings,
  now: number,
): FleetProgress | null {
  let lastTick: number | null = null;
  for (const member of membership.all()) {
    const tick = member.heartbeat?.lastTick ?? null;
    if (tick === null || isSilent(member, settings, now)) continue;
    lastTick = Math.max(lastTick ?? tick, tick);
  }
  return lastTick === null ? null : { lastTick, tickMs };
}
