import { z } from "zod";
import type { Queryable } from "../../core/postgres/database.js";
import { openRingSnapshot, type RingSnapshot } from "../../core/ring/view.js";
import { readDatabaseTime } from "../../core/time/read-database-time.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { readNewestVersions } from "../../core/versions/version-store.js";

const RECENT = 20;

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
  const summaries = documents.map(ringSummary);
  const upcoming = documents.filter((document) => document.activatesAtMs > now).length;
  return {
    current: summaries[upcoming] ?? null,
    upcoming: summaries.slice(0, upcoming),
    recent: summaries,
  };
}

/** A ring view for people: who sits where, with how many slots. */
export function ringSummary(document: VersionDocument): RingSummary {
  const snapshot: RingSnapshot = openRingSnapshot(document);
  return {
    version: document.version,
    digest: document.digest,
    activatesAt: new Date(document.activatesAtMs).toISOString(),
    createdAt: new Date(document.createdAtMs).toISOString(),
    createdBy: document.createdBy,
    reason: document.reason,
    exceptions: snapshot.view.exceptions.length,
    seats: snapshot.view.seats.map((seat) => ({
      ...seat,
      slots: snapshot.slotsOf(seat.incarnation).length,
    })),
  };
}
