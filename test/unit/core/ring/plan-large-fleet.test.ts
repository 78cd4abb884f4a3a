import fc from "fast-check";
import { expect, test } from "vitest";
import { idealMoves, rowsMoved } from "../../../../core/ring/balance.js";
import { planRing } from "../../../../core/ring/plan.js";
import { RingSnapshot } from "../../../../core/ring/view.js";
import { expectedOwners } from "../../../harness/expected-owners.js";
import { Fleet, randomSource, rowsBySeat, shuffled } from "./fleet-history.js";

/** A fleet of 1 to 1,000 that then gains, loses or replaces some: [who comes, who goes]. */
const anyChange = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 900, max: 1000 })),
  rows: fc.constantFrom(0, 3, 5000, 300_000),
  come: fc.nat(100),
  go: fc.nat(100),
  seed: fc.integer(),
});

test("what holds for small fleets holds for up to 1,000 workers", () => {
  fc.assert(
    fc.property(anyChange, ({ size, rows, come, go, seed }) => {
      const fleet = new Fleet(size, { kind: "uniform", rows, seed });
      fleet.plan();
      const stay = shuffled(fleet.members, seed).slice(Math.min(go, size - 1));
      const newcomers = [...Array(come).keys()].map((index) => {
        return { worker: `newcomer-${index}`, incarnation: 10_000 + index, weight: 1, revision: "r" };
      });
      fleet.members = [...stay, ...newcomers];
      const { before, after } = fleet.plan();
      if (before === null) throw new Error("no view before the change");
      expectWorked(fleet, before, after);
      const again = planRing(after, shuffled(fleet.members, seed + 1), fleet.slotRows, []);
      expect(new RingSnapshot(again, after.version).digest).toBe(after.digest);
    }),
    { numRuns: 8 },
  );
});

/** Survivors sit where they sat, everybody has its share, no more moves than must, and outsiders see the same. */
function expectWorked(fleet: Fleet, before: RingSnapshot, after: RingSnapshot): void {
  const { slotRows, members } = fleet;
  expect(after.view.seats.length).toBe(members.length);
  for (const { incarnation, seat } of before.view.seats) {
    expect([seat, null]).toContain(after.seatOf(incarnation));
  }
  const total = slotRows.reduce((sum, count) => sum + count, 0);
  const slot = slotRows.reduce((most, count) => Math.max(most, count), 0);
  const share = total / members.length;
  const slack = Math.max(0.01 * share, 1, slot) + 1e-6;
  for (const held of rowsBySeat(after, slotRows).values()) {
    expect(Math.abs(held - share)).toBeLessThanOrEqual(slack);
  }
  const allowed = 1.05 * idealMoves(before, after, slotRows) + slot * members.length;
  expect(rowsMoved(before, after, slotRows)).toBeLessThanOrEqual(allowed);
  const owners = expectedOwners(after.view);
  expect(owners.every((worker, index) => worker === (after.ownerOf(index)?.worker ?? null))).toBe(true);
}

test("rows in few hot slots: a plan of 1,000 workers is found, and is final", () => {
  const random = randomSource(7);
  const fleet = new Fleet(1000, { kind: "empty" });
  for (let hot = 0; hot < 300; hot++) fleet.slotRows[Math.floor(random() * 16_384)] = 1 + hot * 100;
  const { after } = fleet.plan();
  const heaviest = Math.max(...rowsBySeat(after, fleet.slotRows).values());
  expect(heaviest).toBe(Math.max(...fleet.slotRows));
  expect(planRing(after, fleet.members, fleet.slotRows, [])).toEqual(after.view);
});
