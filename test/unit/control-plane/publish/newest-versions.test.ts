import { expect, test } from "vitest";
import { NewestVersions } from "../../../../control-plane/publish/newest-versions.js";
import type { Queryable } from "../../../../core/postgres/database.js";
import { planRing } from "../../../../core/ring/plan.js";
import { openRingSnapshot, ownersOf, ringDigest } from "../../../../core/ring/view.js";
import type { VersionDocument } from "../../../../core/versions/version.js";

const SLOTS = 64;

function documentOf(version: number, incarnation: number): VersionDocument {
  const member = { worker: `w${incarnation}`, incarnation, weight: 1, revision: "" };
  const view = planRing(null, [member], new Uint32Array(SLOTS), [], SLOTS);
  return {
    kind: "ring",
    version,
    activatesAtMs: 0,
    createdAtMs: 0,
    createdBy: "test",
    reason: "join",
    digest: ringDigest(view, ownersOf(view, SLOTS)),
    body: view,
  };
}

/** A Postgres that answers from `stored`, the highest view it has. */
class StoredRing implements Queryable {
  stored: VersionDocument | null = null;
  /** Runs between the question for the highest version and the question for its document. */
  meanwhile: () => void = () => undefined;

  query(text: string): Promise<{ rows: never[]; rowCount: number }> {
    if (text.includes("activates_at <= now()")) return Promise.resolve({ rows: [], rowCount: 0 });
    const { stored } = this;
    const highest = { ring: stored?.version ?? 0, config: 0, ringDigest: stored?.digest ?? null };
    const isPoll = text.includes("coalesce(max(version)");
    const rows = isPoll ? [highest] : stored === null ? [] : [stored];
    if (isPoll) this.meanwhile();
    return Promise.resolve({ rows: rows as never[], rowCount: rows.length });
  }
}

test("what a failover lost is forgotten: a lower version and another document of the same number count", async () => {
  const postgres = new StoredRing();
  const newest = new NewestVersions(postgres, SLOTS);
  postgres.stored = documentOf(7, 1);
  await newest.step();
  expect(newest.ring?.document.version).toBe(7);
  postgres.stored = documentOf(6, 2);
  await newest.step();
  expect(newest.ring?.document).toEqual(documentOf(6, 2));
  postgres.stored = documentOf(6, 3);
  await newest.step();
  expect(newest.ring?.snapshot.seatOf(3)).toBe(0);
  postgres.stored = null;
  await newest.step();
  expect(newest.ring).toBeNull();
});

test("a view published while it reads isn't undone by what it read before", async () => {
  const postgres = new StoredRing();
  const newest = new NewestVersions(postgres, SLOTS);
  postgres.stored = documentOf(1, 1);
  const published = documentOf(2, 2);
  postgres.meanwhile = () => {
    newest.took({ document: published, snapshot: openRingSnapshot(published, SLOTS) });
  };
  await newest.step();
  expect(newest.ring?.document.version).toBe(2);
});
