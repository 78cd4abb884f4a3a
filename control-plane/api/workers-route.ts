import type { RingSnapshot } from "../../core/ring/view.js";
import type { Lease } from "../leadership/lease-store.js";
import type { Observer } from "../membership/observer.js";
import { fleetProgress, rosterOf } from "../membership/roster.js";

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

export interface WorkersAnswer {
  leader: { holder: string; term: number } | null;
  workers: WorkerSummary[];
}

/** Everybody this replica sees, foreign workers included, as JSON. */
export function workersAnswer(
  observer: Observer,
  ring: RingSnapshot | null,
  lease: Lease | null,
  tickMs: number,
  now: number,
): WorkersAnswer {
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
