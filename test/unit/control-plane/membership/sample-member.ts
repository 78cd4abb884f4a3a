import type { Member, Reading } from "../../../../control-plane/membership/membership.js";
import type { Heartbeat } from "../../../../core/heartbeat.js";

export const FLEET = "fleet-1";

/** A working heartbeat of `worker-<incarnation>`, except for what `part` says. */
export function sampleBeat(part: Partial<Heartbeat> = {}): Heartbeat {
  const incarnation = part.incarnation ?? 1;
  return {
    name: `worker-${incarnation}`,
    fleet: FLEET,
    incarnation,
    state: "working",
    beat: 0,
    lastTick: null,
    rows: 0,
    ring: null,
    config: null,
    address: "http://127.0.0.1:9090",
    weight: 1,
    revision: "r1",
    formats: [1],
    pid: 1,
    host: "test",
    ...part,
  };
}

/** A member that has beaten for long and just now (at 0), except for what `part` says. */
export function sampleMember(part: Partial<Member> = {}): Member {
  const incarnation = part.incarnation ?? 1;
  const name = part.name ?? `worker-${incarnation}`;
  return {
    name,
    incarnation,
    heartbeat: sampleBeat({ name, incarnation }),
    presentSince: -60_000,
    inHash: true,
    beatAt: 0,
    beats: 100,
    missedAdvances: 0,
    missedSince: 0,
    unsubscribedAt: null,
    wasSubscribed: true,
    ...part,
  };
}

/** A look that found these heartbeats, in epoch 1, without subscriptions. */
export function sampleReading(beats: readonly Heartbeat[], part: Partial<Reading> = {}): Reading {
  return { beats, epoch: 1, subscribed: null, ...part };
}
