import { z } from "zod";
import { configSchema } from "../../core/versions/config.js";
import type { VersionDocument } from "../../core/versions/version.js";

const time = z.iso.datetime();

/** A config version as the API tells it. */
export const configEntrySchema = z
  .strictObject({
    version: z.int().min(1),
    digest: z.string(),
    activatesAt: time.describe("The first tick at or after this time is the first under this config."),
    createdAt: time,
    createdBy: z.string(),
    reason: z.string(),
    config: configSchema,
  })
  .meta({ id: "ConfigEntry" });

export type ConfigEntry = z.infer<typeof configEntrySchema>;

export const configAnswerSchema = z
  .strictObject({
    now: time.describe("The database's clock: what activation times are compared with."),
    highest: z.int().min(0).describe("The highest version, pending ones included: what If-Match names."),
    current: configEntrySchema.nullable(),
    upcoming: z.array(configEntrySchema).describe("What is to come, soonest first."),
  })
  .meta({ id: "ConfigAnswer" });

export type ConfigAnswer = z.infer<typeof configAnswerSchema>;

export const historyEntrySchema = configEntrySchema
  .extend({
    firstTick: time.nullable().describe("The first tick that it ruled; null where it never did, or not yet."),
  })
  .meta({ id: "ConfigHistoryEntry" });

export type HistoryEntry = z.infer<typeof historyEntrySchema>;

export const historyAnswerSchema = z
  .strictObject({
    versions: z.array(historyEntrySchema).describe("Newest first."),
    before: z.int().nullable().describe("Ask for the next page with this; null where there is none."),
  })
  .meta({ id: "ConfigHistory" });

export type HistoryAnswer = z.infer<typeof historyAnswerSchema>;

/** A row that somebody has changed by hand is told as it is: who has to repair it must see it. */
export function configEntry(document: VersionDocument): ConfigEntry {
  const parsed = configSchema.safeParse(document.body);
  return {
    version: document.version,
    digest: document.digest,
    activatesAt: isoTime(document.activatesAtMs),
    createdAt: isoTime(document.createdAtMs),
    createdBy: document.createdBy,
    reason: document.reason,
    config: parsed.success ? parsed.data : (document.body as ConfigEntry["config"]),
  };
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
