import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { simulate } from "./simulate.js";
import { statementsSeen } from "./store-model.js";

/**
 * Fingerprints of the statements on which the promises rest, as the model was written for them. Where this fails,
 * a statement has changed: compare it with its function in store-model.ts, then take over the new fingerprint.
 */
const MODELLED: Record<string, string[]> = {
  openTick: ["b303cfc8a020"],
  workRows: ["b0c085d58c0c", "176ce54bd95b", "50fc89852636", "c87199047240", "65fd1099a062", "8be9468c853d"],
  publishRing: ["c3478bd048c4"],
  publishConfig: ["eb9a8988a89a"],
  readConfigSchedule: ["a11ac2e8fae1"],
  acquireLease: ["031996491b76"],
  renewLease: ["24a404f62930"],
  readWorkEvidence: ["360bce998515"],
};

test("the model was written for the statements that the stores send", async () => {
  for (let seed = 1; seed <= 60; seed++) await simulate(seed);
  const seen = statementsSeen().filter(({ name }) => name in MODELLED);
  const unknown = seen
    .map(({ name, text }) => ({ name, text, fingerprint: fingerprintOf(text) }))
    .filter(({ name, fingerprint }) => MODELLED[name]?.includes(fingerprint) !== true);
  expect(unknown).toEqual([]);
  expect(new Set(seen.map(({ name }) => name))).toEqual(new Set(Object.keys(MODELLED)));
});

function fingerprintOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
