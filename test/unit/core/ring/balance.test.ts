import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { idealMoves, imbalance, movesByWorker, rowsMoved } from "../../../../core/ring/balance.js";
import { planRing } from "../../../../core/ring/plan.js";
import { RingSnapshot } from "../../../../core/ring/view.js";
import { anyTable, Fleet, fleetSize, slotRowsOf } from "./fleet-history.js";

function fleetOf(size: number, rows: number): Fleet {
  const fleet = new Fleet(size, { kind: "uniform", rows, seed: 5 });
  fleet.plan();
  return fleet;
}

describe("imbalance", () => {
  test("none after a plan, whatever the table", () => {
    fc.assert(
      fc.property(fleetSize, anyTable, (size, table) => {
        const fleet = new Fleet(size, table);
        expect(imbalance(fleet.plan().after, fleet.slotRows).drifted).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  test("where it reports drift, a plan moves rows and ends it", () => {
    fc.assert(
      fc.property(fleetSize, anyTable, anyTable, (size, table, later) => {
        const fleet = new Fleet(size, table);
        const { after } = fleet.plan();
        const slotRows = slotRowsOf(later);
        if (!imbalance(after, slotRows).drifted) return;
        const next = new RingSnapshot(planRing(after, fleet.members, slotRows, []), 2);
        expect(rowsMoved(after, next, slotRows)).toBeGreaterThan(0);
        expect(imbalance(next, slotRows).drifted).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  test("5,000 rows into one worker's slots: drifted, and a plan brings all within 1.10", () => {
    const fleet = fleetOf(10, 1000);
    const ring = fleet.ring;
    if (ring === null) throw new Error("no view");
    const slots = ring.slotsOf(ring.view.seats[4]?.incarnation ?? 0);
    for (let row = 0; row < 5000; row++) {
      const slot = slots[row % slots.length] ?? 0;
      fleet.slotRows[slot] = (fleet.slotRows[slot] ?? 0) + 1;
    }
    const found = imbalance(ring, fleet.slotRows);
    expect(found).toMatchObject({ drifted: true, worst: ring.view.seats[4]?.seat });
    expect(found.ratio).toBeGreaterThan(8);
    const { after } = fleet.plan();
    expect(imbalance(after, fleet.slotRows).ratio).toBeLessThan(1.02);
  });

  test("a seat is a tenth over only by a single row or by one big slot: nothing to do", () => {
    const few = fleetOf(3, 10);
    expect(imbalance(few.plan().after, few.slotRows).drifted).toBe(false);
    const hot = new Fleet(4, { kind: "hot", rows: 100, hotSlots: 1, hotRows: 5000, seed: 3 });
    const found = imbalance(hot.plan().after, hot.slotRows);
    expect(found.ratio).toBeGreaterThan(3);
    expect(found.drifted).toBe(false);
  });

  test("an empty table or fleet is balanced", () => {
    expect(imbalance(fleetOf(3, 0).plan().after, slotRowsOf({ kind: "empty" }))).toEqual({
      ratio: 1,
      worst: null,
      drifted: false,
    });
    const nobody = fleetOf(0, 100);
    expect(imbalance(nobody.plan().after, nobody.slotRows).drifted).toBe(false);
  });
});

describe("moves", () => {
  test("a replacement moves the leaver's rows, and these are all that must move", () => {
    const fleet = fleetOf(4, 1000);
    fleet.change({ kind: "replace", count: 1, pick: 1 });
    const { before, after } = fleet.plan();
    const moved = rowsMoved(before, after, fleet.slotRows);
    expect(Math.abs(moved - 250)).toBeLessThanOrEqual(3);
    expect(idealMoves(before, after, fleet.slotRows)).toBe(moved);
  });

  test("a restart under the same name moves its rows to another process, but to no other worker", () => {
    const fleet = fleetOf(4, 1000);
    fleet.change({ kind: "restart", count: 1, pick: 1 });
    const { before, after } = fleet.plan();
    expect(rowsMoved(before, after, fleet.slotRows)).toBeGreaterThan(0);
    for (const moves of movesByWorker(before, after, fleet.slotRows)) {
      expect(moves).toMatchObject({ gains: 0, loses: 0, before: moves.after });
    }
  });

  test("a joiner must get its share; the others' losses are its gain", () => {
    const fleet = fleetOf(4, 1000);
    fleet.change({ kind: "join", count: 1, pick: 1 });
    const { before, after } = fleet.plan();
    expect(idealMoves(before, after, fleet.slotRows)).toBe(200);
    const moves = movesByWorker(before, after, fleet.slotRows);
    const joiner = moves.find((each) => each.worker === "worker-5");
    expect(joiner).toMatchObject({ seat: 4, before: 0, loses: 0 });
    expect(moves.reduce((sum, each) => sum + each.gains - each.loses, 0)).toBe(0);
    expect(moves.reduce((sum, each) => sum + each.gains, 0)).toBe(rowsMoved(before, after, fleet.slotRows));
  });

  test("a leaver's rows must move, and it has no seat afterwards", () => {
    const fleet = fleetOf(4, 1000);
    fleet.change({ kind: "leave", count: 1, pick: 1 });
    const { before, after } = fleet.plan();
    const gone = movesByWorker(before, after, fleet.slotRows).find((each) => each.seat === null);
    expect(gone?.loses).toBe(gone?.before);
    expect(gone?.loses).toBe(idealMoves(before, after, fleet.slotRows));
  });

  test("from a view without seats nothing moves", () => {
    const fleet = fleetOf(0, 100);
    fleet.change({ kind: "join", count: 3, pick: 1 });
    const { before, after } = fleet.plan();
    expect(rowsMoved(before, after, fleet.slotRows)).toBe(0);
    expect(idealMoves(before, after, fleet.slotRows)).toBe(0);
  });

  test("the first view moves nothing", () => {
    const fleet = new Fleet(4, { kind: "uniform", rows: 100, seed: 1 });
    const { after } = fleet.plan();
    expect(rowsMoved(null, after, fleet.slotRows)).toBe(0);
    expect(idealMoves(null, after, fleet.slotRows)).toBe(0);
  });
});
