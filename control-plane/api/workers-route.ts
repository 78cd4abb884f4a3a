import type { RingSnapshot } from "../../core/ring/view.js";
import type { Config } from "../../core/versions/config.js";
import type { Lease } from "../leadership/lease-store.js";
import type { Observer } from "../membership/observer.js";
import { fleetProgress, rosterOf } from "../membership/roster.js";
import type { SlotRows } from "../planner/slot-rows-store.js";

export interface WorkerSummary {
  name: string;
  incarnation: number;
  state: string;
  seat: number | null;
  rows: number | null;
  slots: number;
  lastTick: string | null;
  ring: number | null;
  config: number | null;
  address: string | null;
  weight: number | null;
  revision: string | null;
  beatAgeMs: number;
}

interface Workers {
  leader: { holder: string; term: number } | null;
  workers: WorkerSummary[];
}

interface Work {
  /** What rules the ticks now; null where the fleet has no config yet. */
  config: { tickMs: number; paused: boolean } | null;
  /** The table at this replica's last count of it; null before the first. */
  table: { rows: number; oldestRowAgeMs: number | null; countedAgoMs: number } | null;
}

export type WorkersAnswer = Workers & Work;

export function workAnswer(config: Config | null, counted: SlotRows | null, countedAgoMs: number): Work {
  return {
    config: config === null ? null : { tickMs: config.tickMs, paused: config.paused },
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
): Workers {
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
