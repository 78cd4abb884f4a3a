import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NOBODY, SLOT_COUNT } from "../../../../core/ring/slots.js";
import { ownersOf } from "../../../../core/ring/view.js";
import { Fleet, rowsBySeat, shuffled } from "./fleet-history.js";

describe("small and empty fleets", () => {
  test.each([
    [10, 3, [3, 3, 4]],
    [10, 4, [2, 2, 3, 3]],
    [1, 3, [0, 0, 1]],
    [0, 3, [0, 0, 0]],
  ])("%i rows of 3 equal workers or more: %i workers have %j", (rows, workers, shares) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        // Rows in slots of their own: two in one slot can't be parted.
        const fleet = new Fleet(workers, { kind: "empty" });
        const slots = shuffled([...Array(SLOT_COUNT).keys()], seed).slice(0, rows);
        for (const slot of slots) fleet.slotRows[slot] = 1;
        const { after } = fleet.plan();
        expect([...rowsBySeat(after, fleet.slotRows).values()].sort((a, b) => a - b)).toEqual(shares);
      }),
      { numRuns: 20 },
    );
  });

  test("no members: a view without seats and exceptions, in which nobody owns a slot", () => {
    const fleet = new Fleet(3, { kind: "uniform", rows: 1000, seed: 1 });
    fleet.plan();
    fleet.change({ kind: "leave", count: 3, pick: 1 });
    const { after } = fleet.plan();
    expect(after.view).toEqual({ format: 1, seats: [], exceptions: [], dead: [] });
    expect(new Set(ownersOf(after.view))).toEqual(new Set([NOBODY]));
    expect(after.ownerOf(5)).toBeNull();
    expect(after.slotsOf(1)).toEqual([]);
  });

  test("a fleet that comes back from nobody starts from the ring", () => {
    const fleet = new Fleet(3, { kind: "empty" });
    fleet.plan();
    fleet.change({ kind: "leave", count: 3, pick: 1 });
    fleet.plan();
    fleet.change({ kind: "join", count: 4, pick: 1 });
    const { after } = fleet.plan();
    expect(after.view.seats.map((seat) => seat.seat)).toEqual([0, 1, 2, 3]);
    expect(after.view.exceptions).toEqual([]);
  });
});
