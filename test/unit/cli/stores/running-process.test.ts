import { describe, expect, it } from "vitest";
import { parseProcStat } from "../../../../cli/stores/running-process.js";

describe("parseProcStat", () => {
  const rest = "1 4134 4134 0 -1 4194304 100 0 0 0 5 6 0 0 20 0 1 0 987654 4000000 500";

  it("reads state and start time", () => {
    expect(parseProcStat(`4134 (node) S ${rest}`)).toEqual({ state: "S", startTime: "987654" });
  });

  it("isn't confused by a name with spaces and parentheses", () => {
    expect(parseProcStat(`4134 (a) Z (b) Z ${rest}`)).toEqual({ state: "Z", startTime: "987654" });
  });

  it("gives null for what is no stat line", () => {
    expect(parseProcStat("4134 (node) S 1")).toBeNull();
  });
});
