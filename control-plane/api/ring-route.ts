import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import type { Queryable } from "../../core/postgres/database.js";
import { openRingSnapshot, type RingView } from "../../core/ring/view.js";
import { readDatabaseTime } from "../../core/time/read-database-time.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { readNewestVersions } from "../../core/versions/version-store.js";

const RECENT = 20;
/** A little more than the ring versions that are kept. */
const KEPT_COUNTS = 128;

const ringSummarySchema = z
  .strictObject({
    version: z.int(),
    digest: z.string(),
    activatesAt: z.iso.datetime(),
    createdAt: z.iso.datetime(),
    createdBy: z.string().describe("The leader that published it."),
    reason: z.string(),
    exceptions: z.int().describe("Runs of slots that lie elsewhere than the ring alone would have them."),
    seats: z.array(
      z.strictObject({
        seat: z.int(),
        worker: z.string(),
        incarnation: z.int(),
        weight: z.int(),
        revision: z.string(),
        slots: z.int(),
      }),
    ),
  })
  .meta({ id: "RingSummary" });

export type RingSummary = z.infer<typeof ringSummarySchema>;

export const ringAnswerSchema = z
  .strictObject({
    current: ringSummarySchema.nullable(),
    upcoming: z.array(ringSummarySchema),
    recent: z.array(ringSummarySchema).describe(`The newest ${RECENT}, newest first.`),
  })
  .meta({ id: "RingAnswer" });

export type RingAnswer = z.infer<typeof ringAnswerSchema>;

/** The ring view in force at `databaseNowMs`, those to come, and the newest 20, as JSON. */
export async function ringAnswer(db: Queryable): Promise<RingAnswer> {
  const documents = await readNewestVersions(db, "ring", RECENT);
  const now = await readDatabaseTime(db);
  const summaries: RingSummary[] = [];
  for (const document of documents) summaries.push(await ringSummary(document));
  const upcoming = documents.filter((document) => document.activatesAtMs > now).length;
  return {
    current: summaries[upcoming] ?? null,
    upcoming: summaries.slice(0, upcoming),
    recent: summaries,
  };
}

/** A ring view for people: who sits where, with how many slots. */
export async function ringSummary(document: VersionDocument): Promise<RingSummary> {
  const slots = await slotCounts(document);
  const { seats, exceptions } = document.body as RingView;
  return {
    version: document.version,
    digest: document.digest,
    activatesAt: new Date(document.activatesAtMs).toISOString(),
    createdAt: new Date(document.createdAtMs).toISOString(),
    createdBy: document.createdBy,
    reason: document.reason,
    exceptions: exceptions.length,
    seats: seats.map((seat, index) => ({ ...seat, slots: slots[index] ?? 0 })),
  };
}

/** Slots of each seat, by the view's digest, which says all that they come from. */
const countsByDigest = new Map<string, readonly number[]>();

/**
 * Opening a view of 1,000 workers takes 40 ms, in which a leader does nothing else: each is opened once, and
 * between two of them everybody else has a turn.
 */
async function slotCounts(document: VersionDocument): Promise<readonly number[]> {
  const known = countsByDigest.get(document.digest);
  if (known !== undefined) return known;
  await setImmediate();
  const snapshot = openRingSnapshot(document);
  const counts = snapshot.view.seats.map((seat) => snapshot.slotsOf(seat.incarnation).length);
  countsByDigest.set(document.digest, counts);
  const [oldest] = countsByDigest.keys();
  if (countsByDigest.size > KEPT_COUNTS && oldest !== undefined) countsByDigest.delete(oldest);
  return counts;
}
