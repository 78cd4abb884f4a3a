import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Redis } from "ioredis";
import { z } from "zod";
import { type VersionDocument, versionDocumentSchema } from "../versions/version.js";
import type { RedisKeys } from "./keys.js";

/** A document larger than this isn't sent at all; whoever wants it reads Postgres. */
const MAX_HINT_BYTES = 64 * 1024;
/** A document larger than this travels deflated: every worker gets it, and ring views of many workers are large. */
const DEFLATED_FROM_BYTES = 8 * 1024;
/** A forged message must not swell to more than any document has. */
const MAX_INFLATED_BYTES = 4 * 1024 * 1024;

const hintSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("version"), fleet: z.string(), document: versionDocumentSchema }),
  z.strictObject({ type: z.literal("look"), fleet: z.string() }),
]);

/** How a large `version` hint travels: its JSON, deflated, as base64. */
const deflatedSchema = z.strictObject({ type: z.literal("deflated"), fleet: z.string(), hint: z.base64() });

/** A hint says that something is new. It may be lost, late, repeated or forged: it is never an authority. */
export type Hint = z.infer<typeof hintSchema>;

/** The hint in a message, or null for anything that isn't one of this fleet's. */
export function parseHint(message: string, fleet: string): Hint | null {
  const json = parseJson(message);
  const deflated = deflatedSchema.safeParse(json);
  const parsed = hintSchema.safeParse(deflated.success ? inflated(deflated.data.hint) : json);
  return parsed.success && parsed.data.fleet === fleet ? parsed.data : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function inflated(base64: string): unknown {
  try {
    const bytes = inflateRawSync(Buffer.from(base64, "base64"), { maxOutputLength: MAX_INFLATED_BYTES });
    return parseJson(bytes.toString("utf8"));
  } catch {
    return null;
  }
}

/** The message that brings a document, or only asks everybody to look where even deflated it is too large. */
export function messageOf(fleet: string, document: VersionDocument): string {
  const message = JSON.stringify({ type: "version", fleet, document } satisfies Hint);
  if (Buffer.byteLength(message) <= DEFLATED_FROM_BYTES) return message;
  const hint = deflateRawSync(message).toString("base64");
  const deflated = JSON.stringify({ type: "deflated", fleet, hint });
  return deflated.length <= MAX_HINT_BYTES ? deflated : lookMessage(fleet);
}

function lookMessage(fleet: string): string {
  return JSON.stringify({ type: "look", fleet } satisfies Hint);
}

/** Announces a published version to the fleet and caches it. Best effort: Postgres already has it. */
export async function announceVersion(
  redis: Redis,
  keys: RedisKeys,
  fleet: string,
  document: VersionDocument,
): Promise<void> {
  await redis.publish(keys.hints, messageOf(fleet, document));
  await redis.set(keys.current(document.kind), JSON.stringify(document));
}

/** Asks everybody to look again: the leader at the workers, everybody at the versions. */
export async function sendLook(redis: Redis, keys: RedisKeys, fleet: string): Promise<void> {
  await redis.publish(keys.hints, lookMessage(fleet));
}
