import type { Member as RingMember } from "../../core/ring/plan.js";
import type { Member } from "../membership/membership.js";
import type { Verdict } from "../membership/verdict.js";

/** Leavers that follow each other closely (a scale-down) go in one view. They work on meanwhile. */
const LEAVE_SETTLE_MS = 150;
/** A stream of joiners is waited out this many times JOIN_SETTLE_MS at most. */
const MAX_JOIN_SETTLES = 4;
/** The longest that a worker which keeps dying waits for its next seat. */
const MAX_PENALTY_MS = 60_000;
/** Who was started again takes its own seat at once, unless it has been removed this often in the last minute. */
const RESTARTS_AT_ONCE = 2;

export interface ReshapeSettings {
  joinSettleMs: number;
  replaceSettleMs: number;
}

export interface SeatedWorker {
  worker: string;
  incarnation: number;
  weight: number;
  revision: string;
  verdict: Verdict;
  /** Monotonic ms since when the verdict is other than live; null while live. */
  leavingSince: number | null;
}

export interface Joiner {
  member: Member;
  /** Removals of this name, other than by leaving in order, in the last minute: each doubles the wait for a seat. */
  removals: number;
}

export interface Reshape {
  members: RingMember[];
  /** Incarnations that leave by death: their successors need not wait for them. */
  dead: number[];
  reason: "join" | "leave" | "death" | "replace" | "unfit";
}

/** A change of membership to publish now, or null with the ms until it is worth asking again. */
export type Decision = { reshape: Reshape; askAgainMs: null } | { reshape: null; askAgainMs: number | null };

/**
 * Decides who sits in the next view. Pure: `now` and all `…At`/`…Since` are of one monotonic clock, in ms.
 *
 * A joiner of a revision that differs from a seated worker's is part of a rollout: it waits up to
 * `replaceSettleMs` for a leaver whose seat it takes. (DESIGN.md said "a revision that nobody seated has"; but
 * from the second newcomer of a rollout on, somebody seated has it: docs/decisions/0003.)
 */
export function decideReshape(
  seated: readonly SeatedWorker[],
  joiners: readonly Joiner[],
  settings: ReshapeSettings,
  now: number,
): Decision {
  const leavers = seated.filter((worker) => worker.verdict !== "live");
  const waits: number[] = [];
  const leaving = settledLeavers(leavers, joiners, now, waits);
  // While a leaver is waited for, so is everybody who could take its seat.
  const settled =
    leaving.length < leavers.length ? [] : settledJoiners(seated, joiners, settings, now, waits);
  const nobodyStays = leaving.length === seated.length;
  const successors = takeSeats(leaving, joiners, settled, nobodyStays);
  const joining = new Set([...settled, ...successors]);
  if (leaving.length === 0 && joining.size === 0) return waitFor(waits);
  const going = nobodyStays && joining.size === 0 ? whoGoesLast(leaving) : leaving;
  const goingIncarnations = new Set(going.map((worker) => worker.incarnation));
  const members = [
    ...seated.filter((worker) => !goingIncarnations.has(worker.incarnation)).map(toRingMember),
    ...[...joining].map((joiner) => memberOf(joiner.member)),
  ];
  if (members.length === 0 && !going.every(leavesInOrder)) return waitFor(waits);
  const dead = going.filter((worker) => !leavesInOrder(worker)).map((worker) => worker.incarnation);
  return { reshape: { members, dead, reason: reasonOf(going, joining.size) }, askAgainMs: null };
}

function leavesInOrder(worker: SeatedWorker): boolean {
  return worker.verdict === "leaving";
}

/** Where nobody else stays, those who leave in order first take over from those who are dead: they still work. */
function whoGoesLast(leaving: readonly SeatedWorker[]): readonly SeatedWorker[] {
  return leaving.every(leavesInOrder) ? leaving : leaving.filter((worker) => !leavesInOrder(worker));
}

function waitFor(waits: readonly number[]): Decision {
  return { reshape: null, askAgainMs: waits.length === 0 ? null : Math.max(1, Math.min(...waits)) };
}

/** Who goes in the next view. A superseded incarnation waits a moment for its own successor to be countable. */
function settledLeavers(
  leavers: readonly SeatedWorker[],
  joiners: readonly Joiner[],
  now: number,
  waits: number[],
): SeatedWorker[] {
  const since = (worker: SeatedWorker) => now - (worker.leavingSince ?? now);
  const urgent = leavers.filter((worker) => {
    if (leavesInOrder(worker)) return false;
    if (worker.verdict !== "superseded") return true;
    const hasSuccessor = joiners.some((joiner) => joiner.member.name === worker.worker);
    const waitMs = 1500 - since(worker);
    if (!hasSuccessor && waitMs > 0) waits.push(waitMs);
    return hasSuccessor || waitMs <= 0;
  });
  const orderly = leavers.filter(leavesInOrder);
  const newestMs = Math.min(...orderly.map(since));
  const oldestMs = Math.max(...orderly.map(since));
  const quiet = newestMs >= LEAVE_SETTLE_MS || oldestMs >= 4 * LEAVE_SETTLE_MS || urgent.length > 0;
  if (orderly.length > 0 && !quiet) waits.push(LEAVE_SETTLE_MS - newestMs);
  return quiet ? [...urgent, ...orderly] : urgent;
}

function settledJoiners(
  seated: readonly SeatedWorker[],
  joiners: readonly Joiner[],
  settings: ReshapeSettings,
  now: number,
  waits: number[],
): Joiner[] {
  const inRollout = (joiner: Joiner) =>
    seated.some((worker) => worker.revision !== joiner.member.heartbeat?.revision);
  // Somebody who keeps dying is better than nobody.
  const isPenalised = (joiner: Joiner) => joiner.removals > 0 && seated.length > 0;
  const age = (joiner: Joiner) => now - joiner.member.presentSince;
  const plain = joiners.filter((joiner) => !isPenalised(joiner) && !inRollout(joiner));
  const newestMs = Math.min(...plain.map(age));
  const oldestMs = Math.max(...plain.map(age));
  const quiet = newestMs >= settings.joinSettleMs || oldestMs >= MAX_JOIN_SETTLES * settings.joinSettleMs;
  if (plain.length > 0 && !quiet) waits.push(settings.joinSettleMs - newestMs);
  const settled = quiet ? [...plain] : [];
  for (const joiner of joiners) {
    if (plain.includes(joiner)) continue;
    const penaltyMs = isPenalised(joiner)
      ? Math.min(MAX_PENALTY_MS, Math.max(1000, settings.joinSettleMs) * 2 ** joiner.removals)
      : 0;
    const rolloutMs = inRollout(joiner) ? settings.replaceSettleMs : 0;
    const waitMs = Math.max(penaltyMs, rolloutMs) - age(joiner);
    if (waitMs <= 0) settled.push(joiner);
    else waits.push(waitMs);
  }
  return settled;
}

/** Joiners that take the seats of leavers at once: the same name first, then whoever waits longest. */
function takeSeats(
  leaving: readonly SeatedWorker[],
  joiners: readonly Joiner[],
  settled: readonly Joiner[],
  nobodyStays: boolean,
): Joiner[] {
  let free = leaving.length - settled.length;
  if (leaving.length === 0) return [];
  const names = new Set(leaving.map((worker) => worker.worker));
  const isNamesake = (joiner: Joiner) =>
    names.has(joiner.member.name) && (joiner.removals < RESTARTS_AT_ONCE || nobodyStays);
  const namesakes = joiners.filter((joiner) => isNamesake(joiner) && !settled.includes(joiner));
  const rest = joiners
    .filter((joiner) => !settled.includes(joiner) && !namesakes.includes(joiner))
    // Somebody who keeps dying is better than nobody.
    .filter((joiner) => joiner.removals === 0 || nobodyStays)
    .sort(
      (a, b) => a.member.presentSince - b.member.presentSince || a.member.incarnation - b.member.incarnation,
    );
  free -= namesakes.length;
  return [...namesakes, ...rest.slice(0, Math.max(0, free))];
}

function reasonOf(leaving: readonly SeatedWorker[], joining: number): Reshape["reason"] {
  if (leaving.length === 0) return "join";
  if (leaving.some((worker) => worker.verdict === "dead")) return "death";
  if (leaving.some((worker) => worker.verdict === "unfit")) return "unfit";
  if (joining > 0) return "replace";
  return leaving.every(leavesInOrder) ? "leave" : "death";
}

function toRingMember(worker: SeatedWorker): RingMember {
  return {
    worker: worker.worker,
    incarnation: worker.incarnation,
    weight: worker.weight,
    revision: worker.revision,
  };
}

function memberOf(member: Member): RingMember {
  return {
    worker: member.name,
    incarnation: member.incarnation,
    weight: member.heartbeat?.weight ?? 1,
    revision: member.heartbeat?.revision ?? "",
  };
}
