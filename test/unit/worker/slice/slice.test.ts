import { describe, expect, test } from "vitest";
import { type Member, planRing } from "../../../../core/ring/plan.js";
import { RingSnapshot } from "../../../../core/ring/view.js";
import { type Slice, splitAcquired } from "../../../../worker/slice/slice.js";

const SLOT_ROWS = new Uint32Array(16_384).fill(3);
const member = (incarnation: number): Member => {
  return { worker: `worker-${incarnation}`, incarnation, weight: 1, revision: "" };
};

/** The view after `before` in which these incarnations sit; `dead` left it by death. */
function viewOf(before: RingSnapshot | null, incarnations: readonly number[], dead: readonly number[] = []) {
  const view = planRing(before, incarnations.map(member), SLOT_ROWS, dead);
  return new RingSnapshot(view, (before?.version ?? 0) + 1);
}

function sliceOf(ring: RingSnapshot, incarnation: number): Slice {
  return { ring, slots: ring.slotsOf(incarnation) };
}

describe("the first tick under a view", () => {
  const three = viewOf(null, [1, 2, 3]);

  test("waits for the predecessors' slots, not for its own", () => {
    const slice = sliceOf(viewOf(three, [1, 2]), 1);
    const { waiting, free } = splitAcquired(slice, three, 1);
    expect(free).toEqual(three.slotsOf(1));
    expect(waiting.length).toBeGreaterThan(2000);
    expect(waiting.every((slot) => three.incarnationOf(slot) === 3)).toBe(true);
    expect([...waiting, ...free].sort((a, b) => a - b)).toEqual(slice.slots);
  });

  test("doesn't wait for the dead", () => {
    const slice = sliceOf(viewOf(three, [1, 2], [3]), 1);
    expect(splitAcquired(slice, three, 1)).toEqual({ waiting: [], free: [...slice.slots] });
  });

  test("of a joiner waits for all of it, also where it takes over its own name's seat", () => {
    const slice = sliceOf(viewOf(three, [1, 2, 4]), 4);
    expect(splitAcquired(slice, three, 4)).toEqual({ waiting: [...slice.slots], free: [] });
  });

  test("waits for nobody where nobody sat, or no view came before", () => {
    const slice = sliceOf(three, 1);
    const all = { waiting: [], free: [...slice.slots] };
    expect(splitAcquired(slice, null, 1)).toEqual(all);
    expect(splitAcquired(slice, viewOf(three, []), 1)).toEqual(all);
  });
});

test("a later tick under the same view waits for nobody", () => {
  const ring = viewOf(viewOf(null, [1, 2]), [1, 3]);
  const slice = sliceOf(ring, 3);
  expect(splitAcquired(slice, ring, 3)).toEqual({ waiting: [], free: [...slice.slots] });
});

test("a view of the same number with other owners is another view: a database may have lost its newest", () => {
  const lost = viewOf(viewOf(null, [1, 2]), [1]);
  const ring = viewOf(viewOf(null, [1, 2]), [2]);
  expect(ring.version).toBe(lost.version);
  expect(splitAcquired(sliceOf(ring, 2), lost, 2).free).toEqual([]);
});
