import { needsLevelling } from "./level.js";
import { quotasOf } from "./quota.js";
import type { RingSnapshot } from "./view.js";

/** Load is levelled again once a seat holds this much more than its share. */
const DRIFT_RATIO = 1.1;

export interface Imbalance {
  /** Rows of the fullest seat (by its share) over its share; 1 without rows or seats. */
  ratio: number;
  /** Number of that seat; null without rows or seats. */
  worst: number | null;
  /** Some seat holds more than 1.10 of its share and a row more than whole rows explain, and a plan would help. */
  drifted: boolean;
}

/** How evenly `slotRows` lie on the seats of a view. */
export function imbalance(ring: RingSnapshot, slotRows: ArrayLike<number>): Imbalance {
  const { rows, total } = rowsBySeat(ring, slotRows);
  const { seats } = ring.view;
  const quotas = quotasOf(
    seats.map((seat) => seat.weight),
    total,
  );
  let ratio = 1;
  let worst: number | null = null;
  let isOverFull = false;
  seats.forEach(({ seat }, index) => {
    const quota = quotas[index];
    const held = rows.get(seat) ?? 0;
    if (quota === undefined || quota.rows === 0) return;
    if (worst === null || held / quota.rows > ratio) worst = seat;
    ratio = Math.max(ratio, held / quota.rows);
    if (held > Math.max(DRIFT_RATIO * quota.rows, quota.most)) isOverFull = true;
  });
  return { ratio, worst, drifted: isOverFull && needsLevelling(ring, slotRows) };
}

/** Rows whose process changes from `before` to `after`; a restart under the same name is another process. */
export function rowsMoved(
  before: RingSnapshot | null,
  after: RingSnapshot,
  slotRows: ArrayLike<number>,
): number {
  if (before === null) return 0;
  let moved = 0;
  for (let slot = 0; slot < after.owners.length; slot++) {
    const count = slotRows[slot] ?? 0;
    const from = before.incarnationOf(slot);
    if (count > 0 && from !== null && from !== after.incarnationOf(slot)) moved += count;
  }
  return moved;
}

/** Rows that must move, whatever the plan: those of processes that leave, and the shares of additional seats. */
export function idealMoves(
  before: RingSnapshot | null,
  after: RingSnapshot,
  slotRows: ArrayLike<number>,
): number {
  if (before === null || before.view.seats.length === 0) return 0;
  const { rows, total } = rowsBySeat(before, slotRows);
  let ideal = 0;
  for (const { seat, incarnation } of before.view.seats) {
    if (after.seatOf(incarnation) === null) ideal += rows.get(seat) ?? 0;
  }
  const seats = new Set(before.view.seats.map((seat) => seat.seat));
  const quotas = quotasOf(
    after.view.seats.map((seat) => seat.weight),
    total,
  );
  after.view.seats.forEach(({ seat }, index) => {
    if (!seats.has(seat)) ideal += quotas[index]?.rows ?? 0;
  });
  return Math.round(ideal);
}

export interface WorkerMoves {
  worker: string;
  /** Seat number in the later view; null where it leaves. */
  seat: number | null;
  before: number;
  after: number;
  gains: number;
  loses: number;
}

/** For each worker of either view: rows before and after, gained and lost. */
export function movesByWorker(
  before: RingSnapshot | null,
  after: RingSnapshot,
  slotRows: ArrayLike<number>,
): WorkerMoves[] {
  const moves = new Map<string, WorkerMoves>();
  const entry = (worker: string): WorkerMoves => {
    const known = moves.get(worker) ?? { worker, seat: null, before: 0, after: 0, gains: 0, loses: 0 };
    moves.set(worker, known);
    return known;
  };
  for (const { worker, seat } of after.view.seats) entry(worker).seat = seat;
  for (const { worker } of before?.view.seats ?? []) entry(worker);
  for (let slot = 0; slot < after.owners.length; slot++) {
    const count = slotRows[slot] ?? 0;
    if (count === 0) continue;
    const from = before?.ownerOf(slot)?.worker;
    const to = after.ownerOf(slot)?.worker;
    if (from !== undefined) entry(from).before += count;
    if (to !== undefined) entry(to).after += count;
    if (from === to) continue;
    if (from !== undefined) entry(from).loses += count;
    if (to !== undefined) entry(to).gains += count;
  }
  return [...moves.values()];
}

function rowsBySeat(ring: RingSnapshot, slotRows: ArrayLike<number>) {
  const rows = new Map<number, number>();
  let total = 0;
  for (let slot = 0; slot < ring.owners.length; slot++) {
    const count = slotRows[slot] ?? 0;
    const seat = ring.owners[slot];
    if (count === 0 || seat === undefined) continue;
    total += count;
    rows.set(seat, (rows.get(seat) ?? 0) + count);
  }
  return { rows, total };
}
