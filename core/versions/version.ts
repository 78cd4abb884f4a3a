import { z } from "zod";

export type VersionKind = "ring" | "config";

/** An immutable numbered document, as it stands in table `versions` and travels in hints. */
export interface VersionDocument {
  kind: VersionKind;
  version: number;
  /** Epoch milliseconds of the database's clock. */
  activatesAtMs: number;
  createdAtMs: number;
  createdBy: string;
  reason: string;
  digest: string;
  body: unknown;
}

/** Shape of a document that came through Redis; its content is believed only by its digest. */
export const versionDocumentSchema = z.strictObject({
  kind: z.enum(["ring", "config"]),
  version: z.int().positive(),
  activatesAtMs: z.number(),
  createdAtMs: z.number(),
  createdBy: z.string(),
  reason: z.string(),
  digest: z.string(),
  body: z.unknown(),
});
