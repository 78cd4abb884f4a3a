import type { SlotRing } from "./hash-ring.js";
import { type Quota, quotasOf, targetsOf } from "./quota.js";
import { NOBODY, SLOT_COUNT } from "./slots.js";
import type { Seat } from "./view.js";

/** How far along the circle a slot looks for a seat with room before it takes the one with the most. */
const MAX_WALK = 256;

/** Working state of one levelling: seats by their index in the view. */
interface Load {
  ring: SlotRing;
  slotRows: ArrayLike<number>;
  /** Seat index of a seat number. */
  indexOf: Int32Array;
  owners: Int32Array;
  rows: number[];
  targets: number[];
}

const UNPLACED = -1;

/**
 * Seat number of each slot's owner in the next view. Slots without rows follow the ring; slots whose seat stays
 * keep it; slots of seats that are gone go to their ring default if that has room, else on along the ring to the
 * next with room; then over-full seats give up the fewest rows to seats with room. `previous` holds the seat
 * numbers of the view before, null where there was none.
 */
export function levelOwners(
  seats: readonly Seat[],
  ring: SlotRing,
  previous: Uint16Array | null,
  slotRows: ArrayLike<number>,
): Uint16Array {
  if (seats.length === 0) return new Uint16Array(SLOT_COUNT).fill(NOBODY);
  const indexOf = new Int32Array(NOBODY + 1).fill(UNPLACED);
  seats.forEach((seat, index) => {
    indexOf[seat.seat] = index;
  });
  const { owners, rows, total } = keep(seats.length, ring, indexOf, previous, slotRows);
  const quotas = quotasOf(
    seats.map((seat) => seat.weight),
    total,
  );
  const load: Load = { ring, slotRows, indexOf, owners, rows, targets: targetsOf(quotas, rows, total) };
  placeOrphans(load);
  giveToDefaults(load);
  giveAlongRing(load);
  polish(load, quotas);
  return Uint16Array.from(owners, (index) => seats[index]?.seat ?? NOBODY);
}

/** Who keeps what: slots without rows follow the ring, slots of surviving seats stay, others are unplaced. */
function keep(
  seatCount: number,
  ring: SlotRing,
  indexOf: Int32Array,
  previous: Uint16Array | null,
  slotRows: ArrayLike<number>,
): { owners: Int32Array; rows: number[]; total: number } {
  const owners = new Int32Array(SLOT_COUNT);
  const rows = new Array<number>(seatCount).fill(0);
  let total = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const count = slotRows[slot] ?? 0;
    total += count;
    const held = count === 0 ? ring.defaults[slot] : previous?.[slot];
    const owner = indexOf[held ?? NOBODY] ?? UNPLACED;
    owners[slot] = owner;
    if (owner !== UNPLACED) rows[owner] = (rows[owner] ?? 0) + count;
  }
  return { owners, rows, total };
}

function room(load: Load, seat: number): number {
  return (load.targets[seat] ?? 0) - (load.rows[seat] ?? 0);
}

function move(load: Load, slot: number, to: number): void {
  const count = load.slotRows[slot] ?? 0;
  const from = load.owners[slot] ?? UNPLACED;
  if (from !== UNPLACED) load.rows[from] = (load.rows[from] ?? 0) - count;
  load.rows[to] = (load.rows[to] ?? 0) + count;
  load.owners[slot] = to;
}

function defaultOf(load: Load, slot: number): number {
  return load.indexOf[load.ring.defaults[slot] ?? NOBODY] ?? UNPLACED;
}

/** The first seat along the ring from a slot that has room for `count` rows, or UNPLACED within MAX_WALK points. */
function nextWithRoom(load: Load, slot: number, count: number): number {
  const { points, pointOfSlot } = load.ring;
  const start = pointOfSlot[slot] ?? 0;
  for (let step = 0; step < Math.min(MAX_WALK, points.length); step++) {
    const seat = load.indexOf[points[(start + step) % points.length] ?? NOBODY] ?? UNPLACED;
    if (seat !== UNPLACED && room(load, seat) >= count) return seat;
  }
  return UNPLACED;
}

function placeOrphans(load: Load): void {
  const unfitting: number[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if (load.owners[slot] !== UNPLACED) continue;
    const seat = nextWithRoom(load, slot, load.slotRows[slot] ?? 0);
    if (seat === UNPLACED) unfitting.push(slot);
    else move(load, slot, seat);
  }
  // What fits nowhere goes, the largest first, to the seat with the most room.
  const rowsOf = (slot: number) => load.slotRows[slot] ?? 0;
  unfitting.sort((a, b) => rowsOf(b) - rowsOf(a) || a - b);
  for (const slot of unfitting) move(load, slot, roomiest(load));
}

function roomiest(load: Load): number {
  let best = 0;
  for (let seat = 1; seat < load.targets.length; seat++) {
    if (room(load, seat) > room(load, best)) best = seat;
  }
  return best;
}

/** Over-full seats first give slots that the ring would give to a seat with room. */
function giveToDefaults(load: Load): void {
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const count = load.slotRows[slot] ?? 0;
    const owner = load.owners[slot] ?? 0;
    const seat = defaultOf(load, slot);
    if (count === 0 || seat === owner || -room(load, owner) < count) continue;
    if (room(load, seat) >= count) move(load, slot, seat);
  }
}

/** Then any slots that fit, to the next seat along the ring with room. */
function giveAlongRing(load: Load): void {
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const count = load.slotRows[slot] ?? 0;
    if (count === 0 || -room(load, load.owners[slot] ?? 0) < count) continue;
    const seat = nextWithRoom(load, slot, count);
    if (seat !== UNPLACED) move(load, slot, seat);
  }
}

/**
 * Single moves between the fullest and the emptiest seat, each of which brings both closer to their targets,
 * until every seat is balanced or no slot fits. Slots are lumps: the last few rows may fit nowhere.
 */
function polish(load: Load, quotas: readonly Quota[]): void {
  const slotsOf = new Map<number, number[]>();
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if ((load.slotRows[slot] ?? 0) === 0) continue;
    const owner = load.owners[slot] ?? 0;
    const slots = slotsOf.get(owner);
    if (slots === undefined) slotsOf.set(owner, [slot]);
    else slots.push(slot);
  }
  for (let moves = 0; moves < SLOT_COUNT; moves++) {
    const pair = mostUneven(load, quotas);
    if (pair === null) return;
    const slot = bestSlot(
      load,
      slotsOf.get(pair.fullest) ?? [],
      -room(load, pair.fullest),
      room(load, pair.emptiest),
    );
    if (slot === null) return;
    move(load, slot, pair.emptiest);
    slotsOf.set(
      pair.fullest,
      (slotsOf.get(pair.fullest) ?? []).filter((other) => other !== slot),
    );
    slotsOf.set(pair.emptiest, [...(slotsOf.get(pair.emptiest) ?? []), slot]);
  }
}

/** The fullest and the emptiest seat against their targets, or null where all are balanced. */
function mostUneven(load: Load, quotas: readonly Quota[]): { fullest: number; emptiest: number } | null {
  let fullest = 0;
  let emptiest = 0;
  let balanced = true;
  load.targets.forEach((_target, seat) => {
    if (room(load, seat) < room(load, fullest)) fullest = seat;
    if (room(load, seat) > room(load, emptiest)) emptiest = seat;
    const rows = load.rows[seat] ?? 0;
    const quota = quotas[seat];
    if (quota !== undefined && (rows > quota.most || rows < quota.least)) balanced = false;
  });
  return balanced || fullest === emptiest ? null : { fullest, emptiest };
}

/** The slot whose move improves most: by most rows up to the mean of surplus and room; null where none improves. */
function bestSlot(load: Load, slots: readonly number[], surplus: number, free: number): number | null {
  const ideal = (surplus + free) / 2;
  let best: number | null = null;
  let bestDistance = ideal;
  for (const slot of slots) {
    const distance = Math.abs((load.slotRows[slot] ?? 0) - ideal);
    if (distance < bestDistance) {
      best = slot;
      bestDistance = distance;
    }
  }
  return best;
}
