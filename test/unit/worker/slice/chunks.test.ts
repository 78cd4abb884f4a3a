import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";
import { type Chunk, chunkSlots, fitChunks, rotateChunks } from "../../../../worker/slice/chunks.js";

const anySlots = fc
  .uniqueArray(fc.nat(SLOT_COUNT - 1), { maxLength: 400 })
  .map((slots) => slots.sort((a, b) => a - b));
const anyChunks = fc
  .record({ slots: anySlots, rowsPerSlot: fc.double({ min: 0, max: 5000, noNaN: true }), seed: fc.nat() })
  .map(({ slots, rowsPerSlot, seed }) =>
    chunkSlots(slots, rowsPerSlot).map((chunk, index) => {
      return { ...chunk, rows: (seed + index) % 3 === 0 ? null : ((seed % 7919) * (index + 1)) % 12_000 };
    }),
  );
const slotsOf = (chunks: readonly Chunk[]) => chunks.flatMap((chunk) => chunk.slots);

describe("cutting a slice", () => {
  test("gives each slot to one chunk, in order, and makes no empty ones", () => {
    fc.assert(
      fc.property(anySlots, fc.double({ min: 0, max: 1e6, noNaN: true }), (slots, rowsPerSlot) => {
        const chunks = chunkSlots(slots, rowsPerSlot);
        expect(slotsOf(chunks)).toEqual(slots);
        expect(chunks.every((chunk) => chunk.slots.length > 0 && chunk.rows === 0)).toBe(true);
      }),
    );
  });

  test("aims at 3,000 rows a chunk; a slot isn't cut, and without a guess there is one chunk", () => {
    const slots = [...Array(100).keys()];
    const lengths = (rowsPerSlot: number) =>
      chunkSlots(slots, rowsPerSlot).map((chunk) => chunk.slots.length);
    expect(lengths(61)).toEqual([49, 49, 2]);
    expect(lengths(100_000)).toEqual(slots.map(() => 1));
    expect(lengths(0)).toEqual([100]);
    expect(chunkSlots([], 0)).toEqual([]);
  });
});

describe("fitting chunks to what they turned out to hold", () => {
  test("keeps the slots and their order, and touches no chunk that fits", () => {
    fc.assert(
      fc.property(anyChunks, (chunks) => {
        const fitted = fitChunks(chunks, null);
        expect(slotsOf(fitted)).toEqual(slotsOf(chunks));
        const kept = chunks.filter(({ rows }) => rows !== null && rows <= 5000);
        expect(fitted.filter((chunk) => chunks.includes(chunk))).toEqual(kept);
      }),
    );
  });

  test("cuts what was too large to about 3,000 rows, and what couldn't be worked in time into 8", () => {
    const slots = [...Array(16).keys()];
    const lengths = (rows: number | null) => fitChunks([{ slots, rows }], null).map((c) => c.slots.length);
    expect(lengths(5000)).toEqual([16]);
    expect(lengths(5001)).toEqual([8, 8]);
    expect(lengths(24_000)).toEqual(Array(8).fill(2));
    expect(lengths(null)).toEqual(Array(8).fill(2));
    expect(fitChunks([{ slots: [3], rows: null }], null)).toEqual([{ slots: [3], rows: 0 }]);
  });

  test("after a slow time, or where rows have gone, a complete tick leads back to few chunks", () => {
    const chunks = [...Array(40).keys()].map((slot): Chunk => ({ slots: [slot], rows: 10 }));
    expect(fitChunks(chunks, null)).toEqual(chunks);
    expect(fitChunks(chunks, 10)).toEqual([{ slots: chunks.flatMap((chunk) => chunk.slots), rows: 0 }]);
    expect(fitChunks(chunks, 2000)).toEqual(chunks);
  });
});

describe("the order of work after a tick that was too short", () => {
  test("starts with the chunk not reached, and goes around: no tail starves", () => {
    fc.assert(
      fc.property(anyChunks, fc.nat(), (chunks, pick) => {
        const slots = slotsOf(chunks);
        const first = slots[pick % Math.max(1, slots.length)] ?? 0;
        const rotated = rotateChunks(chunks, first);
        expect(rotated.length).toBe(chunks.length);
        if (chunks.length > 0) expect(rotated[0]?.slots).toContain(first);
        const start = chunks.indexOf(rotated[0] ?? { slots: [], rows: null });
        expect(rotated).toEqual([
          ...chunks.slice(Math.max(0, start)),
          ...chunks.slice(0, Math.max(0, start)),
        ]);
      }),
    );
  });

  test("also where that slot has gone to another worker: with the next behind it", () => {
    const chunks = [2, 4, 6].map((slot): Chunk => ({ slots: [slot], rows: 0 }));
    const firsts = (slot: number | null) => rotateChunks(chunks, slot).map((chunk) => chunk.slots[0]);
    expect(firsts(3)).toEqual([4, 6, 2]);
    expect(firsts(7)).toEqual([2, 4, 6]);
    expect(firsts(null)).toEqual([2, 4, 6]);
  });
});
