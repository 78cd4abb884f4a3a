import type { Redis } from "ioredis";
import { z } from "zod";
import { type VersionDocument, versionDocumentSchema } from "../versions/version.js";
import type { RedisKeys } from "./keys.js";

/** A document larger than this travels as number and digest only; whoever wants it reads Postgres. */
const MAX_HINT_BYTES = 64 * 1024;

const hintSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("version"), fleet: z.string(), document: versionDocumentSchema }),
  z.strictObject({ type: z.literal("look"), fleet: z.string() }),
]);

/** A hint says that something is new. It may be lost, late, repeated or forged: it is never an authority. */
export type Hint = z.infer<typeof hintSchema>;

/** The hint in a message, or null for anything that isn't one of this fleet's. */
export function parseHint(message: string, fleet: string): Hint | null {
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch {
    return null;
  }
  const parsed = hintSchema.safeParse(json);
  return parsed.success && parsed.data.fleet === fleet ? parsed.data : null;
}

/** Announces a published version to the fleet and caches it. Best effort: Postgres already has it. */
export async function announceVersion(
  redis: Redis,
  keys: RedisKeys,
  fleet: string,
  document: VersionDocument,
): Promise<void> {
  const hint: Hint = { type: "version", fleet, document };
  const message = JSON.stringify(hint);
  const small = Buffer.byteLength(message) <= MAX_HINT_BYTES;
  await redis.publish(keys.hints, small ? message : JSON.stringify({ type: "look", fleet } satisfies Hint));
  await redis.set(keys.current(document.kind), JSON.stringify(document));
}

/** Asks everybody to look again: the leader at the workers, everybody at the versions. */
export async function sendLook(redis: Redis, keys: RedisKeys, fleet: string): Promise<void> {
  await redis.publish(keys.hints, JSON.stringify({ type: "look", fleet } satisfies Hint));
}
