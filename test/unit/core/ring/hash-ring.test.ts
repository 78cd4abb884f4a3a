import fc from "fast-check";
import { expect, test } from "vitest";
import { buildSlotRing } from "../../../../core/ring/hash-ring.js";
import { NOBODY, SLOT_COUNT } from "../../../../core/ring/slots.js";

const range = (count: number) => [...Array(count).keys()];

test("every seat has 16 points, at any fleet size", () => {
  for (const count of [1, 2, 3, 7, 49, 98, 103, 300, 1000]) {
    const { points } = buildSlotRing(range(count));
    expect(points.length).toBe(16 * count);
    expect(new Set(points).size).toBe(count);
  }
});

test("a seat more takes slots for itself and moves none between the others", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 2000 }), { minLength: 2, maxLength: 300 }),
      (seats) => {
        const [joiner = 0, ...others] = seats;
        const before = buildSlotRing(others).defaults;
        const after = buildSlotRing(seats).defaults;
        const strayed = range(SLOT_COUNT).filter(
          (slot) => after[slot] !== before[slot] && after[slot] !== joiner,
        );
        expect(strayed).toEqual([]);
      },
    ),
    { numRuns: 15 },
  );
});

test("the order of the seats makes no difference, also where two points coincide", () => {
  const seats = range(1000);
  expect(buildSlotRing(seats.toReversed())).toEqual(buildSlotRing(seats));
  // One of the 16 points is the same for these two.
  expect(buildSlotRing([9676, 1287])).toEqual(buildSlotRing([1287, 9676]));
});

test("without seats nobody owns anything", () => {
  expect(new Set(buildSlotRing([]).defaults)).toEqual(new Set([NOBODY]));
});
