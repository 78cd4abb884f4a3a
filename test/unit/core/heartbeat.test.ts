import { expect, test } from "vitest";
import { parseHeartbeat } from "../../../core/heartbeat.js";
import { sampleBeat } from "../control-plane/membership/sample-member.js";

test("a heartbeat that no worker could have sent is none", () => {
  expect(parseHeartbeat(JSON.stringify(sampleBeat()))).toEqual(sampleBeat());
  for (const forged of [
    "",
    "null",
    "{}",
    JSON.stringify({ ...sampleBeat(), name: "" }),
    JSON.stringify({ ...sampleBeat(), name: "a b" }),
    JSON.stringify({ ...sampleBeat(), weight: 1e308 }),
    JSON.stringify({ ...sampleBeat(), weight: 1e-300 }),
    JSON.stringify({ ...sampleBeat(), incarnation: 2 ** 60 }),
    JSON.stringify({ ...sampleBeat(), revision: "r".repeat(10_000) }),
    JSON.stringify({ ...sampleBeat(), beat: null }),
  ]) {
    expect(parseHeartbeat(forged), forged.slice(0, 80)).toBeNull();
  }
});
