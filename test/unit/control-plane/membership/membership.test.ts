import { describe, expect, test } from "vitest";
import { Membership } from "../../../../control-plane/membership/membership.js";
import { FLEET, sampleBeat, sampleReading } from "./sample-member.js";

const DEAD_AFTER_MS = 1500;
const newMembership = () => new Membership(FLEET, DEAD_AFTER_MS);

describe("beats", () => {
  test("a worker is present since it was first seen; a beat seen again counts once", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ beat: 1 })]), 100);
    membership.observe(sampleReading([sampleBeat({ beat: 1 })]), 350);
    expect(membership.get(1)).toMatchObject({ presentSince: 100, beatAt: 100, beats: 1 });
    membership.observe(sampleReading([sampleBeat({ beat: 2 })]), 600);
    expect(membership.get(1)).toMatchObject({ presentSince: 100, beatAt: 600, beats: 2 });
  });

  test("who beats again after a silence has come anew", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ beat: 1 })]), 0);
    membership.observe(sampleReading([sampleBeat({ beat: 2 })]), DEAD_AFTER_MS - 1);
    expect(membership.get(1)).toMatchObject({ presentSince: 0, beats: 2 });
    membership.observe(sampleReading([sampleBeat({ beat: 3 })]), 2 * DEAD_AFTER_MS - 1);
    expect(membership.get(1)).toMatchObject({ presentSince: 2 * DEAD_AFTER_MS - 1, beats: 1 });
  });

  test("a field that is gone leaves its member silent, not forgotten", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ beat: 1 })]), 0);
    membership.observe(sampleReading([]), 5000);
    expect(membership.get(1)).toMatchObject({ beatAt: 0 });
    membership.forget(1);
    expect(membership.get(1)).toBeUndefined();
  });

  test("workers of another fleet are no members, but told", () => {
    const membership = newMembership();
    const stranger = sampleBeat({ incarnation: 2, fleet: "fleet-2" });
    membership.observe(sampleReading([sampleBeat(), stranger]), 0);
    expect(membership.all().map((member) => member.incarnation)).toEqual([1]);
    expect([...membership.foreign]).toEqual([["worker-2", "fleet-2"]]);
    membership.observe(sampleReading([sampleBeat()]), 250);
    expect(membership.foreign.size).toBe(0);
  });

  test("the members stand by incarnation", () => {
    const membership = newMembership();
    membership.observe(sampleReading([3, 1, 2].map((incarnation) => sampleBeat({ incarnation }))), 0);
    expect(membership.all().map((member) => member.incarnation)).toEqual([1, 2, 3]);
  });
});

describe("a seat's holder that doesn't beat", () => {
  test("is known, and its silence counts from when it was first expected", () => {
    const membership = newMembership();
    membership.expect("worker-1", 1, 100);
    membership.expect("worker-1", 1, 900);
    expect(membership.get(1)).toMatchObject({ heartbeat: null, beatAt: 100, beats: 0 });
  });

  test("supersedes nobody", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ name: "a", incarnation: 1 })]), 0);
    membership.expect("a", 2, 0);
    expect(membership.newestOf("a")).toBe(1);
    membership.observe(sampleReading([sampleBeat({ name: "a", incarnation: 3 })]), 250);
    expect(membership.newestOf("a")).toBe(3);
    expect(membership.newestOf("b")).toBe(0);
  });
});

describe("a new epoch: Redis was out of sight", () => {
  test("excuses everybody's silence, also who is only expected", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ beat: 7 })]), 0);
    membership.expect("worker-2", 2, 0);
    membership.observe(sampleReading([sampleBeat({ beat: 7 })], { epoch: 2 }), 9000);
    expect(membership.all().map((member) => member.beatAt)).toEqual([9000, 9000]);
  });

  test("confirms nobody: what was beaten before it doesn't count as a beat", () => {
    const membership = newMembership();
    membership.observe(sampleReading([sampleBeat({ beat: 7 })]), 0);
    membership.observe(sampleReading([sampleBeat({ beat: 7 })], { epoch: 2 }), 300);
    expect(membership.get(1)?.beats).toBe(0);
    membership.observe(sampleReading([sampleBeat({ beat: 8 })], { epoch: 2 }), 550);
    expect(membership.get(1)?.beats).toBe(1);
  });

  test("forgets missed ticks and subscriptions seen before", () => {
    const membership = newMembership();
    const beats = (lastTick: number) => [
      sampleBeat({ lastTick: 1000 }),
      sampleBeat({ incarnation: 2, lastTick }),
    ];
    membership.observe(sampleReading(beats(1000), { subscribed: new Set([1, 2]) }), 0);
    membership.observe(sampleReading(beats(2000), { subscribed: new Set([2]) }), 250);
    expect(membership.get(1)).toMatchObject({ missedAdvances: 1, unsubscribedAt: 250 });
    membership.observe(sampleReading(beats(2000), { epoch: 2, subscribed: new Set([2]) }), 500);
    expect(membership.get(1)).toMatchObject({
      missedAdvances: 0,
      unsubscribedAt: null,
      wasSubscribed: false,
    });
  });
});

describe("missed ticks", () => {
  const look = (membership: Membership, ticks: readonly number[], now: number) =>
    membership.observe(
      sampleReading(ticks.map((lastTick, index) => sampleBeat({ incarnation: index + 1, lastTick }))),
      now,
    );
  const missed = (membership: Membership) => membership.all().map((member) => member.missedAdvances);

  test("count while others finish newer ones, from the first on", () => {
    const membership = newMembership();
    look(membership, [1000, 1000], 0);
    look(membership, [1000, 2000], 1000);
    look(membership, [1000, 2000], 1250);
    look(membership, [1000, 3000], 2000);
    expect(missed(membership)).toEqual([2, 0]);
    expect(membership.get(1)?.missedSince).toBe(1000);
  });

  test("are over with the next tick that it finishes itself", () => {
    const membership = newMembership();
    look(membership, [1000, 1000], 0);
    look(membership, [1000, 2000], 1000);
    look(membership, [2000, 2000], 1250);
    expect(missed(membership)).toEqual([0, 0]);
  });

  test("are nobody's while all stand still, and one each when the first goes on", () => {
    const membership = newMembership();
    look(membership, [1000, 1000, 1000], 0);
    look(membership, [1000, 1000, 1000], 30_000);
    expect(missed(membership)).toEqual([0, 0, 0]);
    look(membership, [31_000, 1000, 1000], 31_000);
    expect(missed(membership)).toEqual([0, 1, 1]);
  });
});

describe("subscriptions", () => {
  const look = (membership: Membership, subscribed: readonly number[] | null, now: number) =>
    membership.observe(
      sampleReading([sampleBeat()], { subscribed: subscribed === null ? null : new Set(subscribed) }),
      now,
    );

  test("are gone from the first look without one that was seen before", () => {
    const membership = newMembership();
    look(membership, [1], 0);
    look(membership, [], 250);
    look(membership, [], 500);
    expect(membership.get(1)?.unsubscribedAt).toBe(250);
    look(membership, [1], 750);
    expect(membership.get(1)?.unsubscribedAt).toBeNull();
  });

  test("never seen can't be gone; a look that didn't read them says nothing", () => {
    const membership = newMembership();
    look(membership, [], 0);
    expect(membership.get(1)?.unsubscribedAt).toBeNull();
    look(membership, [1], 250);
    look(membership, null, 500);
    expect(membership.get(1)?.unsubscribedAt).toBeNull();
  });
});
