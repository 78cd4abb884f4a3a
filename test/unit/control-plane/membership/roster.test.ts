import { describe, expect, test } from "vitest";
import { Membership } from "../../../../control-plane/membership/membership.js";
import {
  eligibleJoiners,
  fleetProgress,
  hasNewcomers,
  rosterOf,
} from "../../../../control-plane/membership/roster.js";
import type { Heartbeat } from "../../../../core/heartbeat.js";
import { planRing } from "../../../../core/ring/plan.js";
import { RingSnapshot } from "../../../../core/ring/view.js";
import { FLEET, sampleBeat, sampleReading } from "./sample-member.js";

const SETTINGS = { heartbeatMs: 500, deadAfterMs: 1500 };
const TICK_MS = 1000;
const NOBODY_SEATED: ReadonlySet<number> = new Set();

/** Looks at these heartbeats every 500 ms, twice unless told otherwise; each time their beat number is one more. */
function membershipOf(beats: readonly Heartbeat[], looks = 2): Membership {
  const membership = new Membership(FLEET, SETTINGS.deadAfterMs);
  for (let look = 0; look < looks; look++) {
    const seen = beats.map((beat) => ({ ...beat, beat: beat.beat + look }));
    membership.observe(sampleReading(seen), look * SETTINGS.heartbeatMs);
  }
  return membership;
}

function joinersAt(membership: Membership, now: number, seated = NOBODY_SEATED): number[] {
  const progress = fleetProgress(membership, TICK_MS, SETTINGS, now);
  const joiners = eligibleJoiners(membership, seated, progress, SETTINGS, now);
  return joiners.map((member) => member.incarnation);
}

describe("who may join", () => {
  test("counts after two different beats, and until it falls silent", () => {
    expect(joinersAt(membershipOf([sampleBeat()], 1), 0)).toEqual([]);
    const membership = membershipOf([sampleBeat()]);
    expect(joinersAt(membership, 500)).toEqual([1]);
    expect(joinersAt(membership, 1999)).toEqual([1]);
    expect(joinersAt(membership, 2000)).toEqual([]);
  });

  test("isn't who sits already, is leaving, or has only a seat's word for it", () => {
    const membership = membershipOf([
      sampleBeat(),
      sampleBeat({ incarnation: 2, state: "leaving" }),
      sampleBeat({ incarnation: 3, state: "joining" }),
    ]);
    membership.expect("worker-4", 4, 500);
    expect(joinersAt(membership, 500, new Set([1]))).toEqual([3]);
  });

  test("is the newest of a name only", () => {
    const older = membershipOf([sampleBeat({ name: "a", incarnation: 1 })]);
    older.observe(sampleReading([sampleBeat({ name: "a", incarnation: 2, beat: 1 })]), 600);
    older.observe(sampleReading([sampleBeat({ name: "a", incarnation: 2, beat: 2 })]), 1100);
    expect(joinersAt(older, 1100)).toEqual([2]);
  });

  test("isn't who keeps no pace with the ticks: it can't reach Postgres", () => {
    const ticks = [10_000, 7_500, 7_400, null];
    const beats = ticks.map((lastTick, index) => sampleBeat({ incarnation: index + 1, lastTick }));
    expect(joinersAt(membershipOf(beats), 500)).toEqual([1, 2]);
  });

  test("is also whose beat is several short ticks old, as all beats are", () => {
    const beats = [10_000, 9_000, 8_000].map((lastTick, index) =>
      sampleBeat({ incarnation: index + 1, lastTick }),
    );
    const membership = membershipOf(beats);
    const progress = fleetProgress(membership, 100, SETTINGS, 500);
    const joiners = eligibleJoiners(membership, NOBODY_SEATED, progress, SETTINGS, 500);
    expect(joiners.map((member) => member.incarnation)).toEqual([1, 2]);
  });

  test("isn't who has lost its subscription", () => {
    const membership = membershipOf([sampleBeat()]);
    membership.observe(sampleReading([sampleBeat({ beat: 2 })], { subscribed: new Set([1]) }), 1000);
    expect(joinersAt(membership, 1000)).toEqual([1]);
    membership.observe(sampleReading([sampleBeat({ beat: 2 })], { subscribed: new Set() }), 1250);
    expect(joinersAt(membership, 1250)).toEqual([]);
  });

  test("has to beat twice again after a gap in our own sight of Redis", () => {
    const membership = membershipOf([sampleBeat()]);
    membership.observe(sampleReading([sampleBeat({ beat: 2 })], { epoch: 2 }), 1000);
    expect(joinersAt(membership, 1000)).toEqual([]);
    membership.observe(sampleReading([sampleBeat({ beat: 3 })], { epoch: 2 }), 1500);
    expect(joinersAt(membership, 1500)).toEqual([1]);
  });
});

describe("newcomers, for whom the last leavers wait", () => {
  const hasAny = (beats: readonly Heartbeat[], now = 0, seated = NOBODY_SEATED) =>
    hasNewcomers(membershipOf(beats, 1), seated, SETTINGS, now);

  test("are there from their first beat on", () => {
    expect(hasAny([sampleBeat()])).toBe(true);
  });

  test("are neither seated nor leaving nor silent nor superseded", () => {
    expect(hasAny([])).toBe(false);
    expect(hasAny([sampleBeat()], 0, new Set([1]))).toBe(false);
    expect(hasAny([sampleBeat({ state: "leaving" })])).toBe(false);
    expect(hasAny([sampleBeat()], 1500)).toBe(false);
    const superseded = [
      sampleBeat({ name: "a" }),
      sampleBeat({ name: "a", incarnation: 2, state: "leaving" }),
    ];
    expect(hasAny(superseded)).toBe(false);
  });
});

describe("the fleet's progress", () => {
  test("is the newest tick that anybody finished who still beats", () => {
    const beats = [5000, 7000, null].map((lastTick, index) =>
      sampleBeat({ incarnation: index + 1, lastTick }),
    );
    const membership = membershipOf(beats, 1);
    expect(fleetProgress(membership, TICK_MS, SETTINGS, 0)).toEqual({ lastTick: 7000, tickMs: TICK_MS });
    membership.observe(sampleReading([sampleBeat({ lastTick: 6000, beat: 1 })]), 1500);
    expect(fleetProgress(membership, TICK_MS, SETTINGS, 1500)?.lastTick).toBe(6000);
  });

  test("is none before the first tick", () => {
    expect(fleetProgress(membershipOf([sampleBeat()]), TICK_MS, SETTINGS, 0)).toBeNull();
  });
});

test("the roster: seats first, then by incarnation, and how each stands", () => {
  const member = (worker: string, incarnation: number) => ({ worker, incarnation, weight: 1, revision: "" });
  const members = [member("worker-2", 2), member("worker-4", 4), member("worker-5", 5)];
  const ring = new RingSnapshot(planRing(null, members, new Uint32Array(16_384), []), 1);
  const membership = new Membership(FLEET, SETTINGS.deadAfterMs);
  const beats = (lastTick: number, beat: number) => [
    sampleBeat({ incarnation: 1, lastTick, beat, state: "joining" }),
    sampleBeat({ incarnation: 2, lastTick: 1000, beat }),
    sampleBeat({ incarnation: 3, lastTick: 1000 }),
    sampleBeat({ incarnation: 4, lastTick, beat, state: "leaving" }),
    sampleBeat({ incarnation: 5, lastTick, beat }),
  ];
  for (let look = 0; look < 6; look++) {
    membership.observe(sampleReading(beats(1000 + 1000 * look, look)), 1000 * look);
  }
  const progress = fleetProgress(membership, TICK_MS, SETTINGS, 5000);
  const roster = rosterOf(membership, ring, progress, SETTINGS, 5000);
  expect(roster.map(({ member: { incarnation }, seat, state }) => [incarnation, seat, state])).toEqual([
    [2, 0, "unfit"],
    [4, 1, "leaving"],
    [5, 2, "seated"],
    [1, null, "joining"],
    [3, null, "silent"],
  ]);
});
