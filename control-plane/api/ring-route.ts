import type { Queryable } from "../../core/postgres/database.js";
import { openRingSnapshot, type RingSnapshot } from "../../core/ring/view.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { readNewestVersions } from "../../core/versions/version-store.js";

const RECENT = 20;

export interface RingSummary {
  version: number;
  digest: string;
  activatesAt: string;
  createdAt: string;
  createdBy: string;
  reason: string;
  exceptions: number;
  seats: {
    seat: number;
    worker: string;
    incarnation: number;
    weight: number;
    revision: string;
    slots: number;
  }[];
}

export interface RingAnswer {
  current: RingSummary | null;
  upcoming: RingSummary[];
  recent: RingSummary[];
}

/** The ring view in force at `databaseNowMs`, those to come, and the newest 20, as JSON. */
export async function ringAnswer(db: Queryable): Promise<RingAnswer> {
  const documents = await readNewestVersions(db, "ring", RECENT);
  const { rows } = await db.query<{ now: number }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now",
  );
  const now = rows[0]?.now ?? 0;
  const summaries = documents.map(summaryOf);
  const upcoming = documents.filter((document) => document.activatesAtMs > now).length;
  return {
    current: summaries[upcoming] ?? null,
    upcoming: summaries.slice(0, upcoming),
    recent: summaries,
  };
}

function summaryOf(document: VersionDocument): RingSummary {
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
