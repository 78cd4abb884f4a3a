import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../../control-plane/membership/verdict.js";
import {
  type Decision,
  decideReshape,
  type Joiner,
  type SeatedWorker,
} from "../../../../control-plane/planner/reshape.js";
import { sampleBeat, sampleMember } from "../membership/sample-member.js";

const SETTINGS = { joinSettleMs: 1000, replaceSettleMs: 30_000 };

/** Sits as `worker-<incarnation>`; judged otherwise than live since `leavingSince`. */
function sits(
  incarnation: number,
  verdict: Verdict = "live",
  part: Partial<SeatedWorker> = {},
): SeatedWorker {
  return {
    worker: `worker-${incarnation}`,
    incarnation,
    weight: 1,
    revision: "r1",
    verdict,
    leavingSince: verdict === "live" ? null : 0,
    ...part,
  };
}

/** There since `presentSince`, under the name `worker-<incarnation>` where no other is given. */
function joins(
  incarnation: number,
  presentSince: number,
  { name = `worker-${incarnation}`, revision = "r1", removals = 0 } = {},
): Joiner {
  const heartbeat = sampleBeat({ name, incarnation, revision });
  return { member: sampleMember({ name, incarnation, heartbeat, presentSince }), removals };
}

function decide(seated: readonly SeatedWorker[], joiners: readonly Joiner[], now: number): Decision {
  return decideReshape(seated, joiners, SETTINGS, now);
}

const membersOf = ({ reshape }: Decision) =>
  reshape?.members.map((member) => member.incarnation).sort((a, b) => a - b) ?? null;

describe("joining", () => {
  test("waits until no other has come for JOIN_SETTLE_MS", () => {
    expect(decide([sits(1)], [joins(2, 0)], 999)).toEqual({ reshape: null, askAgainMs: 1 });
    const decision = decide([sits(1)], [joins(2, 0), joins(3, 0)], 1000);
    expect(membersOf(decision)).toEqual([1, 2, 3]);
    expect(decision.reshape).toMatchObject({ dead: [], reason: "join" });
  });

  test("starts anew with each newcomer, but four times at most", () => {
    const joiners = [joins(2, 0), joins(3, 900), joins(4, 1800)];
    expect(decide([sits(1)], joiners, 1900)).toEqual({ reshape: null, askAgainMs: 900 });
    expect(membersOf(decide([sits(1)], [...joiners, joins(5, 3900)], 4000))).toEqual([1, 2, 3, 4, 5]);
  });

  test("of the first workers needs nobody seated", () => {
    expect(decide([], [], 0)).toEqual({ reshape: null, askAgainMs: null });
    expect(membersOf(decide([], [joins(1, 0), joins(2, 200)], 1200))).toEqual([1, 2]);
  });

  test("takes weight and revision from the heartbeat", () => {
    const heartbeat = sampleBeat({ weight: 3, revision: "r1" });
    const joiner: Joiner = { member: sampleMember({ heartbeat, presentSince: 0 }), removals: 0 };
    expect(decide([], [joiner], 1000).reshape?.members).toEqual([
      { worker: "worker-1", incarnation: 1, weight: 3, revision: "r1" },
    ]);
  });
});

describe("a rollout", () => {
  const newer = (incarnation: number, presentSince: number) =>
    joins(incarnation, presentSince, { revision: "r2" });

  test("lets a newcomer wait for a leaver whose seat it takes", () => {
    expect(decide([sits(1), sits(2)], [newer(3, 0)], 5000)).toEqual({ reshape: null, askAgainMs: 25_000 });
    const decision = decide([sits(1, "leaving", { leavingSince: 5000 }), sits(2)], [newer(3, 0)], 5150);
    expect(membersOf(decision)).toEqual([2, 3]);
    expect(decision.reshape).toMatchObject({ dead: [], reason: "replace" });
  });

  test("lets the second newcomer wait, too, though its revision is seated by now", () => {
    const seated = [sits(1), sits(2, "live", { revision: "r2" })];
    expect(decide(seated, [newer(3, 0)], 5000).reshape).toBeNull();
  });

  test("seats the newcomer beside the others after REPLACE_SETTLE_MS", () => {
    expect(membersOf(decide([sits(1)], [newer(2, 0)], 30_000))).toEqual([1, 2]);
  });

  test("gives as many newcomers a seat as leave, the longest there first", () => {
    const seated = [sits(1, "leaving"), sits(2, "leaving"), sits(3)];
    expect(membersOf(decide(seated, [newer(4, 60), newer(5, 50), newer(6, 40)], 150))).toEqual([3, 5, 6]);
  });

  test("gives a leaver's seat to a newcomer that has waited long enough before one that hasn't", () => {
    const seated = [sits(1, "leaving"), sits(2), sits(3, "live", { revision: "r2" })];
    const joiners = [newer(4, 0), newer(5, 25_000)];
    expect(membersOf(decide(seated, joiners, 30_000))).toEqual([2, 3, 4]);
  });

  test("is over once all seated have the newcomer's revision", () => {
    const seated = [sits(1, "live", { revision: "r2" })];
    expect(membersOf(decide(seated, [newer(2, 0)], 1000))).toEqual([1, 2]);
  });
});

describe("leaving", () => {
  const leavesAt = (incarnation: number, leavingSince: number) =>
    sits(incarnation, "leaving", { leavingSince });

  test("waits 150 ms for others that leave with it", () => {
    expect(decide([leavesAt(1, 0), sits(2)], [], 149)).toEqual({ reshape: null, askAgainMs: 1 });
    const decision = decide([leavesAt(1, 0), leavesAt(2, 0), sits(3)], [], 150);
    expect(membersOf(decision)).toEqual([3]);
    expect(decision.reshape).toMatchObject({ dead: [], reason: "leave" });
  });

  test("starts anew with each further one, up to 600 ms", () => {
    const stream = [leavesAt(1, 0), leavesAt(2, 100), leavesAt(3, 200), sits(9)];
    expect(decide(stream, [], 250).reshape).toBeNull();
    expect(membersOf(decide([...stream, leavesAt(4, 590)], [], 600))).toEqual([9]);
  });

  test("of everybody in order is the one way to a view without seats", () => {
    const decision = decide([leavesAt(1, 0), leavesAt(2, 0)], [], 150);
    expect(decision.reshape).toEqual({ members: [], dead: [], reason: "leave" });
  });

  test("keeps joiners waiting while it settles: they may take its seat", () => {
    const joiners = [joins(3, 0)];
    expect(decide([leavesAt(1, 1900), sits(2)], joiners, 2000).reshape).toBeNull();
    expect(membersOf(decide([leavesAt(1, 1900), sits(2)], joiners, 2050))).toEqual([2, 3]);
  });
});

describe("death", () => {
  test("is acted on at once, and takes with it who is leaving", () => {
    const seated = [sits(1, "dead"), sits(2, "leaving"), sits(3)];
    expect(decide(seated, [], 0).reshape).toEqual({
      members: [{ worker: "worker-3", incarnation: 3, weight: 1, revision: "r1" }],
      dead: [1],
      reason: "death",
    });
  });

  test("gives its seat to a newcomer that would have waited", () => {
    const decision = decide([sits(1, "dead"), sits(2)], [joins(3, 0, { revision: "r2" })], 10);
    expect(membersOf(decision)).toEqual([2, 3]);
    expect(decision.reshape).toMatchObject({ dead: [1], reason: "death" });
  });

  test("of everybody changes nothing until somebody comes", () => {
    const seated = [sits(1, "dead"), sits(2, "dead")];
    expect(decide(seated, [], 60_000)).toEqual({ reshape: null, askAgainMs: null });
    expect(membersOf(decide(seated, [joins(3, 60_000)], 60_000))).toEqual([3]);
  });

  test("leaves its rows to who is leaving, if that is all there is", () => {
    const seated = [sits(1, "dead"), sits(2, "leaving")];
    const { reshape } = decide(seated, [], 0);
    expect(reshape?.members.map((member) => member.incarnation)).toEqual([2]);
    expect(reshape).toMatchObject({ dead: [1], reason: "death" });
    expect(decide([sits(2, "leaving")], [], 150).reshape?.members).toEqual([]);
  });

  test("and unfitness count as such: nobody waits for these processes", () => {
    const { reshape } = decide([sits(1, "unfit"), sits(2)], [], 0);
    expect(reshape).toMatchObject({ dead: [1], reason: "unfit" });
  });
});

describe("a superseded incarnation", () => {
  test("waits up to 1500 ms for its successor, who takes its seat", () => {
    const seated = [sits(1, "superseded"), sits(2)];
    expect(decide(seated, [], 1000)).toEqual({ reshape: null, askAgainMs: 500 });
    const decision = decide(seated, [joins(3, 900, { name: "worker-1" })], 1000);
    expect(membersOf(decision)).toEqual([2, 3]);
    expect(decision.reshape).toMatchObject({ dead: [1], reason: "replace" });
    expect(membersOf(decide(seated, [], 1500))).toEqual([2]);
  });

  test("has its seat taken by nobody else while its successor is on its way", () => {
    expect(decide([sits(1, "superseded"), sits(2)], [joins(3, -9000)], 100).reshape).toBeNull();
  });

  test("is followed by its own successor, not by one who waits longer", () => {
    const joiners = [joins(4, 0, { revision: "r2" }), joins(3, 500, { name: "worker-1" })];
    expect(membersOf(decide([sits(1, "superseded"), sits(2)], joiners, 600))).toEqual([2, 3]);
  });
});

describe("a worker that keeps dying", () => {
  const flapper = (removals: number) => [joins(2, 0, { removals })];

  test.each([
    [1, 2000],
    [2, 4000],
    [5, 32_000],
    [6, 60_000],
    [50, 60_000],
  ])("after %i removals waits %i ms for its next seat", (removals, waitMs) => {
    expect(decide([sits(1)], flapper(removals), waitMs - 1)).toEqual({ reshape: null, askAgainMs: 1 });
    expect(membersOf(decide([sits(1)], flapper(removals), waitMs))).toEqual([1, 2]);
  });

  test("and is started again at once takes its own seat twice a minute; then others get its rows", () => {
    const seated = [sits(1, "superseded"), sits(2)];
    const again = (removals: number) => [joins(3, 900, { name: "worker-1", removals })];
    expect(membersOf(decide(seated, again(1), 1000))).toEqual([2, 3]);
    const decision = decide(seated, again(2), 1000);
    expect(membersOf(decision)).toEqual([2]);
    expect(decision.reshape).toMatchObject({ dead: [1], reason: "death" });
  });

  test("doesn't keep others waiting", () => {
    const decision = decide([sits(1)], [...flapper(3), joins(3, 0)], 1000);
    expect(membersOf(decision)).toEqual([1, 3]);
  });

  test("takes no leaver's seat early, unless nobody stays", () => {
    expect(membersOf(decide([sits(1, "dead"), sits(3)], flapper(3), 100))).toEqual([3]);
    expect(membersOf(decide([sits(1, "dead")], flapper(3), 100))).toEqual([2]);
  });

  test("is better than nobody: where no one sits it waits no longer than others", () => {
    expect(membersOf(decide([], flapper(5), 1000))).toEqual([2]);
  });
});

const verdict = fc.constantFrom<Verdict>("live", "leaving", "superseded", "dead", "unfit");
const revision = fc.constantFrom("r1", "r2");
const anyFleet = fc
  .record({
    seated: fc.array(fc.record({ verdict, revision, leavingSince: fc.integer({ min: 0, max: 2000 }) }), {
      maxLength: 8,
    }),
    joiners: fc.array(
      fc.record({
        revision,
        presentSince: fc.integer({ min: 0, max: 2000 }),
        removals: fc.constantFrom(0, 0, 1, 4),
        successorOf: fc.option(fc.integer({ min: 1, max: 8 })),
      }),
      { maxLength: 6 },
    ),
  })
  .map(({ seated, joiners }) => ({
    seated: seated.map((each, index) =>
      sits(index + 1, each.verdict, {
        revision: each.revision,
        leavingSince: each.verdict === "live" ? null : each.leavingSince,
      }),
    ),
    joiners: joiners.map(({ presentSince, successorOf, ...part }, index) =>
      joins(100 + index, presentSince, {
        ...part,
        // Of one name only the newest incarnation is a joiner.
        ...(successorOf === null || index > 0 ? {} : { name: `worker-${successorOf}` }),
      }),
    ),
  }));

describe("whatever the fleet", () => {
  test("who is live stays, who comes was a joiner, nobody sits twice, and only leavers are dead", () => {
    fc.assert(
      fc.property(anyFleet, fc.integer({ min: 2000, max: 70_000 }), ({ seated, joiners }, now) => {
        const { reshape } = decide(seated, joiners, now);
        if (reshape === null) return;
        const members = new Set(reshape.members.map((member) => member.incarnation));
        expect(members.size).toBe(reshape.members.length);
        for (const { incarnation, verdict: judged } of seated) {
          if (judged === "live") expect(members).toContain(incarnation);
          if (reshape.dead.includes(incarnation)) expect(["live", "leaving"]).not.toContain(judged);
          if (reshape.dead.includes(incarnation)) expect(members).not.toContain(incarnation);
        }
        const known = new Set([...seated, ...joiners.map(({ member }) => member)].map((w) => w.incarnation));
        expect([...members].filter((incarnation) => !known.has(incarnation))).toEqual([]);
        const before = seated.map((worker) => worker.incarnation);
        expect([...members].sort()).not.toEqual(before.sort());
      }),
      { numRuns: 500 },
    );
  });

  test("a view without seats comes only where all seated leave in order and nobody has come", () => {
    fc.assert(
      fc.property(anyFleet, fc.integer({ min: 2000, max: 70_000 }), ({ seated, joiners }, now) => {
        const { reshape } = decide(seated, joiners, now);
        if (reshape === null || reshape.members.length > 0) return;
        expect(seated.map((worker) => worker.verdict)).toEqual(seated.map(() => "leaving"));
        expect(joiners).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("everything waited for comes, at the moment that was named", () => {
    fc.assert(
      fc.property(anyFleet, ({ seated, joiners }) => {
        let now = 2000;
        let decision = decide(seated, joiners, now);
        for (let asked = 0; decision.askAgainMs !== null; asked++) {
          expect(asked).toBeLessThan(30);
          expect(decision.askAgainMs).toBeGreaterThan(0);
          now += decision.askAgainMs;
          decision = decide(seated, joiners, now);
        }
        expect(now).toBeLessThanOrEqual(2000 + 60_000);
        if (decision.reshape !== null) return;
        // Nothing to do, or nobody left who could work.
        expect(joiners).toEqual([]);
        const states = new Set(seated.map((worker) => worker.verdict));
        expect(states.has("leaving")).toBe(false);
        expect(states.size === 0 || !states.has("live") || states.size === 1).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
