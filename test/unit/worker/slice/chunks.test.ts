import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";
import { type Chunk, chunkSlots, rotateChunks, splitChunks } from "../../../../worker/slice/chunks.js";

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
        expect(chunks.every((chunk) => chunk.slots.length > 0 && chunk.rows === null)).toBe(true);
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

describe("splitting chunks that turned out too large", () => {
  test("keeps the slots and their order, and touches no other chunk", () => {
    fc.assert(
      fc.property(anyChunks, (chunks) => {
        const split = splitChunks(chunks);
        expect(slotsOf(split)).toEqual(slotsOf(chunks));
        const kept = chunks.filter(({ rows, slots }) => rows === null || rows <= 5000 || slots.length === 1);
        expect(split.filter((chunk) => chunks.includes(chunk))).toEqual(kept);
      }),
    );
  });

  test("halves them, and forgets what the whole held", () => {
    expect(splitChunks([{ slots: [1, 2, 3], rows: 5001 }])).toEqual([
      { slots: [1], rows: null },
      { slots: [2, 3], rows: null },
    ]);
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
    const chunks = [2, 4, 6].map((slot): Chunk => ({ slots: [slot], rows: null }));
    const firsts = (slot: number | null) => rotateChunks(chunks, slot).map((chunk) => chunk.slots[0]);
    expect(firsts(3)).toEqual([4, 6, 2]);
    expect(firsts(7)).toEqual([2, 4, 6]);
    expect(firsts(null)).toEqual([2, 4, 6]);
  });
});
