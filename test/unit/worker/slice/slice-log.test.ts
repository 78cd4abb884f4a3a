import pino from "pino";
import { describe, expect, test } from "vitest";
import type { Queryable } from "../../../../core/postgres/database.js";
import { planRing } from "../../../../core/ring/plan.js";
import { RingSnapshot } from "../../../../core/ring/view.js";
import { SliceLog } from "../../../../worker/slice/slice-log.js";
import type { Progress } from "../../../../worker/tick/ticker.js";

const member = (incarnation: number) => {
  return { worker: `worker-${incarnation}`, incarnation, weight: 1, revision: "" };
};
const ringOf = (before: RingSnapshot | null, ...incarnations: number[]) =>
  new RingSnapshot(
    planRing(before, incarnations.map(member), new Uint32Array(16_384).fill(1), []),
    (before?.version ?? 0) + 1,
  );
const progressOf = (ring: RingSnapshot, rows: number): Progress => {
  return {
    tickMs: 0,
    rows,
    seated: true,
    slice: { ring, slots: ring.slotsOf(1) },
    config: { version: 1, digest: "" },
  };
};

/** A slice log over a table with these ids, and the lines that it prints. */
function sliceLog(ids: readonly string[], limit: number, progress: () => Progress | null) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line) => lines.push(JSON.parse(line)) });
  const query = (_text: string, [, most]: [unknown, number]) =>
    Promise.resolve({ rows: ids.slice(0, most).map((id) => ({ id })) });
  return { lines, printer: new SliceLog({ db: { query } as unknown as Queryable, log, limit, progress }) };
}

describe("each second", () => {
  const two = ringOf(null, 1, 2);

  test("a small slice's ids are printed", async () => {
    const { lines, printer } = sliceLog(["a", "b"], 2, () => progressOf(two, 2));
    expect(await printer.step()).toBe(1000);
    expect(lines).toMatchObject([{ watching: ["a", "b"], msg: "watching 2 work items: a b" }]);
  });

  test("an empty slice is told as well", async () => {
    const { lines, printer } = sliceLog(["a"], 2, () => {
      return { ...progressOf(two, 0), slice: { ring: two, slots: [] } };
    });
    await printer.step();
    expect(lines).toMatchObject([{ watching: [], msg: "watching 0 work items" }]);
  });

  test("a large slice is summed up, with what changed since the last line", async () => {
    const one = ringOf(two, 1);
    let progress = progressOf(two, 8000);
    const { lines, printer } = sliceLog([], 100, () => progress);
    await printer.step();
    const had = two.slotsOf(1).length;
    expect(lines[0]).toMatchObject({ rows: 8000, slots: had, ring: 1, gained: had, lost: 0 });
    progress = progressOf(one, 16_000);
    await printer.step();
    expect(lines[1]).toMatchObject({ rows: 16_000, slots: 16_384, ring: 2, gained: 16_384 - had, lost: 0 });
    expect(lines[1]?.["msg"]).toMatch(
      /^watching 16000 work items in 16384 slots of ring 2 \(slice [0-9a-f]{12}, \+\d+ -0 slots\)$/,
    );
    expect(lines[1]?.["digest"]).not.toBe(lines[0]?.["digest"]);
  });

  test("a large slice of which no row was worked (paused) isn't passed off as a small one", async () => {
    const { lines, printer } = sliceLog(["a", "b", "c", "d"], 3, () => progressOf(two, 0));
    await printer.step();
    expect(lines[0]?.["watching"]).toBeUndefined();
    expect(lines[0]?.["msg"]).toMatch(/^watching more than 3 work items in \d+ slots of ring 1 /);
  });

  test("nothing is printed before the first tick", async () => {
    const { lines, printer } = sliceLog([], 3, () => null);
    expect(await printer.step()).toBeLessThan(1000);
    expect(lines).toEqual([]);
  });
});
