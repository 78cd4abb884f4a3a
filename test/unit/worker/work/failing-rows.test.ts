import { describe, expect, test } from "vitest";
import { FailingRows } from "../../../../worker/work/failing-rows.js";

const RETRY_MS = 10_000;

describe("failing rows", () => {
  test("are new once, and due for another try RETRY_MS after the last", () => {
    const rows = new FailingRows(RETRY_MS);
    expect(rows.add("a", 1, "bad", 0)).toBe(true);
    expect(rows.add("a", 1, "still bad", 500)).toBe(false);
    expect(rows.due(RETRY_MS + 499)).toEqual([]);
    expect(rows.due(RETRY_MS + 500)).toEqual([{ id: "a", slot: 1 }]);
  });

  test("are left out until they are deleted", () => {
    const rows = new FailingRows(RETRY_MS);
    rows.add("a", 1, "bad", 0);
    rows.add("b", 2, "bad", 0);
    expect(rows.ids).toEqual(["a", "b"]);
    rows.delete("a");
    expect(rows.ids).toEqual(["b"]);
    expect(rows.size).toBe(1);
    expect(rows.add("a", 1, "bad", 1)).toBe(true);
  });

  test("of slots that have gone to others are forgotten", () => {
    const rows = new FailingRows(RETRY_MS);
    rows.add("a", 1, "bad", 0);
    rows.add("b", 2, "bad", 0);
    rows.keepSlots(new Set([2, 3]));
    expect(rows.ids).toEqual(["b"]);
  });

  test("beyond 1,000 are reported each time, and told apart no longer", () => {
    const rows = new FailingRows(RETRY_MS);
    for (let row = 0; row < 1000; row++) rows.add(`row-${row}`, row, "bad", 0);
    expect(rows.add("one-more", 1, "bad", 0)).toBe(true);
    expect(rows.add("one-more", 1, "bad", 0)).toBe(true);
    expect(rows.size).toBe(1000);
    expect(rows.add("row-7", 7, "bad", 500)).toBe(false);
    expect(rows.due(RETRY_MS).map(({ id }) => id)).not.toContain("row-7");
  });

  test("are tried again a few at a time, each in its turn: they mustn't use up a tick", () => {
    const rows = new FailingRows(RETRY_MS);
    const all = [...Array(50).keys()].map((row) => `row-${row}`);
    for (const id of all) rows.add(id, 1, "bad", 0);
    const tried: string[] = [];
    for (let now = RETRY_MS; tried.length < all.length && now < RETRY_MS + 5000; now += 1000) {
      const due = rows.due(now);
      expect(due.length).toBeLessThanOrEqual(20);
      for (const { id, slot } of due) {
        rows.delete(id);
        rows.add(id, slot, "still bad", now);
        tried.push(id);
      }
    }
    expect(tried).toEqual(all);
  });
});
