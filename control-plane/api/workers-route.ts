import { z } from "zod";
import type { RingSnapshot } from "../../core/ring/view.js";
import { type Config, DEFAULT_CONFIG } from "../../core/versions/config.js";
import type { Lease } from "../leadership/lease-store.js";
import type { Observer } from "../membership/observer.js";
import { fleetProgress, rosterOf } from "../membership/roster.js";
import type { SlotRows } from "../planner/slot-rows-store.js";

const workerSummarySchema = z
  .strictObject({
    name: z.string(),
    incarnation: z.int(),
    state: z.enum(["seated", "joining", "leaving", "silent", "unfit", "foreign"]),
    seat: z.int().nullable(),
    rows: z.int().nullable().describe("Rows worked in its newest tick."),
    slots: z.int(),
    lastTick: z.iso.datetime().nullable(),
    ring: z.int().nullable(),
    config: z.int().nullable(),
    address: z.string().nullable(),
    weight: z.int().nullable(),
    revision: z.string().nullable(),
    beatAgeMs: z.int(),
  })
  .meta({ id: "WorkerSummary" });

export type WorkerSummary = z.infer<typeof workerSummarySchema>;

const membersSchema = z.strictObject({
  leader: z.strictObject({ holder: z.string(), term: z.int() }).nullable(),
  workers: z.array(workerSummarySchema),
  redisAnswers: z
    .boolean()
    .describe("Where not, the workers are as this replica's last look at Redis found them."),
});

const workSchema = z.strictObject({
  config: z
    .strictObject({ tickMs: z.int(), paused: z.boolean(), maxRowsPerSecond: z.int() })
    .nullable()
    .describe("What rules the ticks now; null where the fleet has no config yet."),
  table: z
    .strictObject({ rows: z.int(), oldestRowAgeMs: z.int().nullable(), countedAgoMs: z.int() })
    .nullable()
    .describe("The table at this replica's last count of it; null before the first."),
});

export const workersAnswerSchema = membersSchema.extend(workSchema.shape).meta({ id: "WorkersAnswer" });

export type WorkersAnswer = z.infer<typeof workersAnswerSchema>;
type Members = z.infer<typeof membersSchema>;
type Work = z.infer<typeof workSchema>;

export function workAnswer(config: Config | null, counted: SlotRows | null, countedAgoMs: number): Work {
  const { tickMs, paused, maxRowsPerSecond } = config ?? DEFAULT_CONFIG;
  return {
    config: config === null ? null : { tickMs, paused, maxRowsPerSecond },
    table:
      counted === null
        ? null
        : {
            rows: counted.total,
            oldestRowAgeMs: counted.oldestRowAgeMs === null ? null : Math.round(counted.oldestRowAgeMs),
            countedAgoMs: Math.round(countedAgoMs),
          },
  };
}

/** Everybody this replica sees, foreign workers included, as JSON. */
export function workersAnswer(
  observer: Observer,
  ring: RingSnapshot | null,
  lease: Lease | null,
  tickMs: number,
  now: number,
): Members {
  const progress = fleetProgress(observer.membership, tickMs, observer.settings, now);
  const roster = rosterOf(observer.membership, ring, progress, observer.settings, now);
  const workers = roster.map(({ member, state, seat }): WorkerSummary => {
    const beat = member.heartbeat;
    return {
      name: member.name,
      incarnation: member.incarnation,
      state,
      seat,
      rows: beat?.rows ?? null,
      slots: ring?.slotsOf(member.incarnation).length ?? 0,
      lastTick: beat === null || beat.lastTick === null ? null : new Date(beat.lastTick).toISOString(),
      ring: beat?.ring?.version ?? null,
      config: beat?.config?.version ?? null,
      address: beat?.address ?? null,
      weight: beat?.weight ?? null,
      revision: beat?.revision ?? null,
      beatAgeMs: Math.round(now - member.beatAt),
    };
  });
  const foreign = [...observer.membership.foreign].map(([name]) => foreignWorker(name));
  const held = lease !== null && lease.holder !== null && lease.remainingMs > 0;
  return {
    leader: held ? { holder: lease.holder ?? "", term: lease.term } : null,
    workers: [...workers, ...foreign],
    redisAnswers: !observer.blind,
  };
}

function foreignWorker(name: string): WorkerSummary {
  return {
    name,
    incarnation: 0,
    state: "foreign",
    seat: null,
    rows: null,
    slots: 0,
    lastTick: null,
    ring: null,
    config: null,
    address: null,
    weight: null,
    revision: null,
    beatAgeMs: 0,
  };
}
