import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { messageOf, parseHint } from "../../../../core/redis/hints.js";
import { planRing } from "../../../../core/ring/plan.js";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";
import { openRingSnapshot, RingSnapshot, ringDigest } from "../../../../core/ring/view.js";
import type { VersionDocument } from "../../../../core/versions/version.js";

const FLEET = "fleet-1";

/** A view that has grown and been levelled, of pods with long names. */
function viewOf(workers: number): VersionDocument {
  const rows = Uint32Array.from({ length: SLOT_COUNT }, (_, slot) => (slot * 7919) % 20);
  const members = Array.from({ length: workers }, (_, index) => {
    const worker = `production-ringfleet-worker-7d9f8b6c5-${randomBytes(3).toString("hex").slice(1)}`;
    return { worker, incarnation: 100_000 + index, weight: 1, revision: "7d9f8b6c5" };
  });
  const first = new RingSnapshot(planRing(null, members.slice(0, -5), rows, []), 1);
  const body = planRing(first, members, rows, []);
  const times = { activatesAtMs: 1, createdAtMs: 1, createdBy: "control-1/1", reason: "join" };
  return { kind: "ring", version: 2, digest: ringDigest(body), body, ...times };
}

test("a document comes through as it is, small or deflated", () => {
  for (const workers of [6, 1000]) {
    const document = viewOf(workers);
    expect(parseHint(messageOf(FLEET, document), FLEET)).toEqual({ type: "version", fleet: FLEET, document });
    expect(parseHint(messageOf(FLEET, document), "another fleet")).toBeNull();
    expect(openRingSnapshot(document).view.seats).toHaveLength(workers);
  }
});

test("the view of 1,000 workers travels whole: nobody has to read it from Postgres", () => {
  expect(JSON.stringify(viewOf(1000)).length).toBeGreaterThan(100_000);
  expect(messageOf(FLEET, viewOf(1000)).length).toBeLessThan(64 * 1024);
});

test("what even deflated is too large only asks to look", () => {
  const document = { ...viewOf(6), body: randomBytes(60_000).toString("base64") };
  expect(parseHint(messageOf(FLEET, document), FLEET)).toEqual({ type: "look", fleet: FLEET });
});

test("a message that is no hint is none, however it looks", () => {
  const deflated = (text: string) =>
    JSON.stringify({ type: "deflated", fleet: FLEET, hint: deflateRawSync(text).toString("base64") });
  const huge = JSON.stringify({ type: "look", fleet: FLEET, padding: " ".repeat(50_000_000) });
  for (const message of [
    "",
    "nonsense",
    "[]",
    deflated("nonsense"),
    deflated(huge),
    deflated(JSON.stringify({ type: "version", fleet: FLEET })),
    JSON.stringify({ type: "deflated", fleet: FLEET, hint: "AAAA" }),
    JSON.stringify({ type: "deflated", fleet: FLEET, hint: "no base64!" }),
  ]) {
    expect(parseHint(message, FLEET), message.slice(0, 60)).toBeNull();
  }
});
