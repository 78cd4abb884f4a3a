import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";
import {
  openRingSnapshot,
  ownersOf,
  RingDigestMismatchError,
  RingSnapshot,
  type RingView,
  ringDigest,
} from "../../../../core/ring/view.js";

const view: RingView = {
  format: 1,
  seats: [
    { seat: 0, worker: "a", incarnation: 7, weight: 1, revision: "r1" },
    { seat: 3, worker: "b", incarnation: 9, weight: 2, revision: "r2" },
  ],
  exceptions: [
    [0, 2, 3],
    [16_383, 1, 0],
  ],
  dead: [4],
};

function published(body: unknown, digest: string) {
  return {
    kind: "ring" as const,
    version: 12,
    activatesAtMs: 0,
    createdAtMs: 0,
    createdBy: "cp",
    reason: "join",
    digest,
    body,
  };
}

describe("the digest", () => {
  test("is that of the documented text", () => {
    const owners = Buffer.alloc(SLOT_COUNT * 2);
    ownersOf(view).forEach((seat, slot) => {
      owners.writeUInt16BE(seat, slot * 2);
    });
    const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
    const text = `[1,[[0,"a",7,1,"r1"],[3,"b",9,2,"r2"]],[4],"${sha256(owners)}"]`;
    expect(ringDigest(view)).toBe(sha256(text));
  });

  // Computed outside, in Python, from the format's description: workers of another release must agree on it.
  test("of a known view stays the same from release to release", () => {
    expect(ringDigest(view)).toBe("b9a85f14995da6a90bd98ffde84758dfac8689ff193259aa17e7f6c67a62b04d");
  });

  test.each<[string, RingView]>([
    [
      "a seat's process",
      { ...view, seats: view.seats.map((seat) => ({ ...seat, incarnation: seat.incarnation + 9 })) },
    ],
    ["the dead", { ...view, dead: [] }],
    ["one slot", { ...view, exceptions: [[0, 1, 3]] }],
  ])("changes with %s", (_what, other) => {
    expect(ringDigest(other)).not.toBe(ringDigest(view));
  });
});

describe("opening a published view", () => {
  test("gives who owns what", () => {
    const snapshot = openRingSnapshot(published(JSON.parse(JSON.stringify(view)), ringDigest(view)));
    expect(snapshot.version).toBe(12);
    expect(snapshot.ownerOf(0)?.worker).toBe("b");
    expect(snapshot.ownerOf(1)?.worker).toBe("b");
    expect(snapshot.incarnationOf(16_383)).toBe(7);
    expect(snapshot.seatOf(9)).toBe(3);
    expect(snapshot.seatOf(8)).toBeNull();
    expect(snapshot.slotsOf(8)).toEqual([]);
    const slots = [...snapshot.slotsOf(7), ...snapshot.slotsOf(9)];
    expect(slots.toSorted((a, b) => a - b)).toEqual([...Array(SLOT_COUNT).keys()]);
    expect(snapshot.slotsOf(9)).toEqual(snapshot.slotsOf(9).toSorted((a, b) => a - b));
  });

  test("is refused where it gives another digest here", () => {
    const digest = new RingSnapshot(view, 1).digest.replace(/^./, (hex) => (hex === "0" ? "1" : "0"));
    expect(() => openRingSnapshot(published(view, digest))).toThrow(RingDigestMismatchError);
    expect(() => openRingSnapshot(published({ ...view, exceptions: [] }, ringDigest(view)))).toThrow(
      /^ring 12 was published with digest [0-9a-f]{64}, but gives [0-9a-f]{64} here$/,
    );
  });

  test.each<[string, unknown]>([
    ["an unknown format", { ...view, format: 2 }],
    ["an unknown field", { ...view, extra: 1 }],
    ["seats out of order", { ...view, seats: view.seats.toReversed() }],
    [
      "a process that sits twice",
      { ...view, seats: view.seats.map((seat) => ({ ...seat, incarnation: 7 })) },
    ],
    ["an exception for an empty seat", { ...view, exceptions: [[0, 1, 1]] }],
    ["exceptions past the last slot", { ...view, exceptions: [[16_383, 2, 0]] }],
    [
      "exceptions that overlap",
      {
        ...view,
        exceptions: [
          [0, 2, 3],
          [1, 1, 0],
        ],
      },
    ],
  ])("is refused with %s", (_what, body) => {
    expect(() => openRingSnapshot(published(body, ringDigest(view)))).toThrow();
    expect(() => openRingSnapshot(published(body, ringDigest(view)))).not.toThrow(RingDigestMismatchError);
  });
});
