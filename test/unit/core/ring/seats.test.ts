import { describe, expect, test } from "vitest";
import { assignSeats, type Member } from "../../../../core/ring/seats.js";
import type { Seat } from "../../../../core/ring/view.js";

const member = (worker: string, incarnation: number): Member => {
  return { worker, incarnation, weight: 1, revision: "" };
};
const sits = (seat: number, worker: string, incarnation: number): Seat => {
  return { seat, ...member(worker, incarnation) };
};
const three = [sits(0, "a", 1), sits(1, "b", 2), sits(2, "c", 3)];
const layout = (seats: readonly Seat[]) => seats.map(({ seat, worker }) => `${seat}:${worker}`).join(" ");

describe("who sits where", () => {
  test("the first members get the lowest numbers, by incarnation", () => {
    expect(layout(assignSeats([], [member("b", 9), member("a", 4)]))).toBe("0:a 1:b");
  });

  test("a joiner takes a leaver's seat, the others stay", () => {
    expect(layout(assignSeats(three, [member("c", 3), member("d", 4), member("a", 1)]))).toBe("0:a 1:d 2:c");
  });

  test("a restarted worker gets its own seat back, whoever else joins", () => {
    const members = [member("d", 6), member("c", 4), member("b", 5)];
    expect(layout(assignSeats(three, members))).toBe("0:d 1:b 2:c");
  });

  test("further joiners get the lowest free numbers", () => {
    const gap = [sits(0, "a", 1), sits(3, "b", 2)];
    const members = [member("a", 1), member("b", 2), member("c", 3), member("d", 4), member("e", 5)];
    expect(layout(assignSeats(gap, members))).toBe("0:a 1:c 2:d 3:b 4:e");
  });

  test("empty seats go", () => {
    expect(layout(assignSeats(three, [member("a", 1), member("c", 3)]))).toBe("0:a 2:c");
  });

  test("a survivor's new weight and revision count", () => {
    const [seat] = assignSeats(three, [{ worker: "a", incarnation: 1, weight: 2, revision: "r2" }]);
    expect(seat).toEqual({ seat: 0, worker: "a", incarnation: 1, weight: 2, revision: "r2" });
  });
});
