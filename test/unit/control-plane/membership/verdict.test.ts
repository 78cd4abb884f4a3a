import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Member, Membership } from "../../../../control-plane/membership/membership.js";
import {
  isSuspect,
  judge,
  type Verdict,
  type WorkEvidence,
} from "../../../../control-plane/membership/verdict.js";
import { FLEET, sampleBeat, sampleMember, sampleReading } from "./sample-member.js";

const SETTINGS = { heartbeatMs: 500, deadAfterMs: 1500 };
const PROGRESS = { lastTick: 100_000, tickMs: 1000 };
const leaving = sampleBeat({ state: "leaving" });

/** Rows that nobody works any more. */
const UNWORKED: WorkEvidence = {
  hasRows: true,
  newestTickAgeMs: 400,
  asksForAll: true,
  workedNewestTick: false,
  workedLately: false,
  ringIsSettled: true,
};
const WORKED: WorkEvidence = { ...UNWORKED, workedNewestTick: true, workedLately: true };

function verdictOn(member: Member, evidence: WorkEvidence | null, now = 0): Verdict {
  return judge(member, member.incarnation, PROGRESS, evidence, SETTINGS, now);
}

describe("silence", () => {
  test("is death after DEAD_AFTER_MS, and not a moment sooner", () => {
    expect(verdictOn(sampleMember(), UNWORKED, 1499)).toBe("live");
    expect(verdictOn(sampleMember(), UNWORKED, 1500)).toBe("dead");
  });

  test("of who works its rows lately is no death: it is only cut from Redis", () => {
    expect(verdictOn(sampleMember(), { ...UNWORKED, workedLately: true }, 60_000)).toBe("live");
  });

  test("under a bound on rows is no death yet where a young view may have given away what it worked", () => {
    const bounded = { ...UNWORKED, asksForAll: false };
    expect(verdictOn(sampleMember(), { ...bounded, ringIsSettled: false }, 1500)).toBe("live");
    expect(verdictOn(sampleMember(), bounded, 1500)).toBe("dead");
    expect(verdictOn(sampleMember(), { ...UNWORKED, ringIsSettled: false }, 1500)).toBe("dead");
  });

  test("decides alone where there are no rows", () => {
    expect(verdictOn(sampleMember(), { ...UNWORKED, hasRows: false }, 1500)).toBe("dead");
  });

  test("is no death while Postgres can't be asked", () => {
    expect(verdictOn(sampleMember(), null, 60_000)).toBe("live");
  });

  test("of a leaver is death, too; a leaver that still works goes in order", () => {
    expect(verdictOn(sampleMember({ heartbeat: leaving }), UNWORKED, 1500)).toBe("dead");
    expect(verdictOn(sampleMember({ heartbeat: leaving }), WORKED, 1500)).toBe("leaving");
    expect(verdictOn(sampleMember({ heartbeat: leaving }), null, 0)).toBe("leaving");
  });

  test("before a gap in our own sight of Redis counts for nothing", () => {
    const membership = new Membership(FLEET, SETTINGS.deadAfterMs);
    const judgeAt = (now: number) => verdictOn(membership.expect("worker-1", 1, now), UNWORKED, now);
    membership.observe(sampleReading([sampleBeat()]), 0);
    expect(judgeAt(5000)).toBe("dead");
    membership.observe(sampleReading([sampleBeat()], { epoch: 2 }), 5000);
    expect(judgeAt(5000)).toBe("live");
    expect(judgeAt(6499)).toBe("live");
    expect(judgeAt(6500)).toBe("dead");
  });
});

describe("a subscription that is gone", () => {
  /** Its connection broke at 100, after a beat at 0; judged at 700, with a tick sealed at 300. */
  const vanished = sampleMember({ unsubscribedAt: 100 });

  test("is an early death once a tick sealed since is 300 ms old and unworked", () => {
    expect(verdictOn(vanished, UNWORKED, 700)).toBe("dead");
  });

  test.each<[string, Member, WorkEvidence, number]>([
    ["its subscription was never seen", sampleMember({ wasSubscribed: false }), UNWORKED, 700],
    ["no beat is missing yet", vanished, { ...UNWORKED, newestTickAgeMs: 300 }, 600],
    ["the tick is younger than 300 ms", vanished, { ...UNWORKED, newestTickAgeMs: 299 }, 700],
    ["the tick was sealed before it went", vanished, { ...UNWORKED, newestTickAgeMs: 600 }, 700],
    ["no tick is sealed", vanished, { ...UNWORKED, newestTickAgeMs: Number.POSITIVE_INFINITY }, 700],
    ["it worked that tick", vanished, WORKED, 700],
    ["the tick's config asks for few rows, or none", vanished, { ...UNWORKED, asksForAll: false }, 700],
    ["it has no rows that show", vanished, { ...UNWORKED, hasRows: false }, 700],
  ])("isn't where %s", (_why, member, evidence, now) => {
    expect(verdictOn(member, evidence, now)).toBe("live");
  });
});

describe("a worker that beats but finishes no tick", () => {
  const stuck = sampleMember({ missedAdvances: 3, missedSince: 0, beatAt: 1500 });

  test("is unfit once others finished three, the first of them DEAD_AFTER_MS ago", () => {
    expect(verdictOn(stuck, UNWORKED, 1500)).toBe("unfit");
    expect(verdictOn(stuck, UNWORKED, 1499)).toBe("live");
    expect(verdictOn({ ...stuck, missedAdvances: 2 }, UNWORKED, 1500)).toBe("live");
  });

  test("has 1.5 ticks where these are longer", () => {
    const at = (now: number) => judge(stuck, 1, { ...PROGRESS, tickMs: 4000 }, UNWORKED, SETTINGS, now);
    const beating = { ...stuck, beatAt: 6000 };
    expect(at(2900)).toBe("live");
    expect(judge(beating, 1, { ...PROGRESS, tickMs: 4000 }, UNWORKED, SETTINGS, 6000)).toBe("unfit");
  });

  test("isn't unfit while its rows are worked, or Postgres can't be asked", () => {
    expect(verdictOn(stuck, WORKED, 1500)).toBe("live");
    expect(verdictOn(stuck, null, 1500)).toBe("live");
  });

  test("isn't unfit where no tick was ever finished", () => {
    expect(judge(stuck, 1, null, UNWORKED, SETTINGS, 1500)).toBe("live");
  });
});

test("a newer incarnation of the same name supersedes, whatever else there is", () => {
  for (const evidence of [null, WORKED, UNWORKED]) {
    expect(judge(sampleMember(), 2, PROGRESS, evidence, SETTINGS, 60_000)).toBe("superseded");
  }
});

test("whoever is condemned was suspect: Postgres is asked about everybody who needs it", () => {
  const age = fc.integer({ min: 0, max: 2500 });
  const anyMember = fc
    .record({
      beat: age,
      unsubscribed: fc.option(age),
      missed: fc.integer({ min: 0, max: 5 }),
      missedFor: age,
    })
    .map(({ beat, unsubscribed, missed, missedFor }) =>
      sampleMember({
        beatAt: -beat,
        unsubscribedAt: unsubscribed === null ? null : -unsubscribed,
        missedAdvances: missed,
        missedSince: -missedFor,
      }),
    );
  const anyEvidence = fc.record({
    hasRows: fc.boolean(),
    newestTickAgeMs: age,
    asksForAll: fc.boolean(),
    workedNewestTick: fc.boolean(),
    workedLately: fc.boolean(),
    ringIsSettled: fc.boolean(),
  });
  const condemned = new Set<Verdict>();
  fc.assert(
    fc.property(anyMember, anyEvidence, (member, evidence) => {
      const verdict = verdictOn(member, evidence);
      condemned.add(verdict);
      if (verdict !== "live") expect(isSuspect(member, PROGRESS, SETTINGS, 0)).toBe(true);
      if (verdict !== "live") expect(verdictOn(member, null)).toBe("live");
    }),
    { numRuns: 1000 },
  );
  expect(condemned).toEqual(new Set(["live", "dead", "unfit"]));
});
