import type { Redis } from "ioredis";
import { z } from "zod";
import type { RedisKeys } from "./redis/keys.js";

const heldVersionSchema = z.object({ version: z.int(), digest: z.string() }).nullable();

/**
 * What a worker says of itself, twice a second, as JSON in the field of its name in hash `workers`. The ranges are
 * those of the settings: anybody may write that hash, and whatever passes here may get into a ring view.
 */
export const heartbeatSchema = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,63}$/),
  fleet: z.string(),
  incarnation: z.int().positive(),
  state: z.enum(["joining", "working", "leaving"]),
  /** Counts this process's beats. */
  beat: z.int().nonnegative(),
  /** The newest tick this worker has finished, epoch ms; null before the first. */
  lastTick: z.number().nullable(),
  /** Rows worked in that tick. */
  rows: z.int().nonnegative(),
  ring: heldVersionSchema,
  config: heldVersionSchema,
  address: z.string().max(2048),
  weight: z.number().min(1).max(100),
  revision: z.string().max(128),
  /** Document formats this worker understands. */
  formats: z.array(z.int()),
  pid: z.int(),
  host: z.string().max(255),
});

export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** The heartbeat in a hash field, or null where it isn't one. */
export function parseHeartbeat(text: string): Heartbeat | null {
  try {
    return heartbeatSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * The field of a worker is its name, or, while a worker of another fleet stands there (two fleets that share
 * a Redis by mistake), its name, `~` and its fleet: neither then hides the other.
 */
const FIELD_OF = `
local function field_of(key, name, fleet)
  local standing = redis.call('HGET', key, name)
  if not standing then return name, nil end
  local ok, beat = pcall(cjson.decode, standing)
  if not ok or type(beat) ~= 'table' then return name, nil end
  if beat.fleet == fleet then return name, beat end
  local own = name .. '~' .. fleet
  standing = redis.call('HGET', key, own)
  if not standing then return own, nil end
  ok, beat = pcall(cjson.decode, standing)
  if not ok or type(beat) ~= 'table' then return own, nil end
  return own, beat
end`;

/**
 * KEYS[1] hash `workers`; ARGV name, fleet, incarnation, heartbeat JSON.
 * Returns 0 when stored, else the higher incarnation of the same name and fleet that stands there.
 */
const BEAT = `${FIELD_OF}
local field, standing = field_of(KEYS[1], ARGV[1], ARGV[2])
if standing and (tonumber(standing.incarnation) or 0) > tonumber(ARGV[3]) then
  return tonumber(standing.incarnation)
end
redis.call('HSET', KEYS[1], field, ARGV[4])
return 0`;

/**
 * KEYS[1] hash `workers`; ARGV name, fleet, incarnation.
 * Deletes the field if this very incarnation stands there; returns how many were deleted.
 */
const DEPART = `${FIELD_OF}
local field, standing = field_of(KEYS[1], ARGV[1], ARGV[2])
if standing and tonumber(standing.incarnation) == tonumber(ARGV[3]) then
  return redis.call('HDEL', KEYS[1], field)
end
return 0`;

/** Stores the heartbeat. Returns 0, or the newer incarnation of this name that refused it. */
export async function sendHeartbeat(redis: Redis, keys: RedisKeys, beat: Heartbeat): Promise<number> {
  const reply = await redis.eval(
    BEAT,
    1,
    keys.workers,
    beat.name,
    beat.fleet,
    beat.incarnation,
    JSON.stringify(beat),
  );
  return Number(reply);
}

/** Deletes this incarnation's field, if it still stands there. */
export async function deleteHeartbeat(
  redis: Redis,
  keys: RedisKeys,
  name: string,
  fleet: string,
  incarnation: number,
): Promise<void> {
  await redis.eval(DEPART, 1, keys.workers, name, fleet, incarnation);
}
