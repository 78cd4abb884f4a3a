import { buildSlotRing, type SlotRing } from "./hash-ring.js";
import { placeHotSlots } from "./hot-slots.js";
import { targetsOf } from "./quota.js";
import { RoomAlongRing } from "./room.js";
import { SeatLoad, UNPLACED } from "./seat-load.js";
import { Settling } from "./settle.js";
import { NOBODY } from "./slots.js";
import type { RingView, Seat } from "./view.js";

/**
 * Seat number of each slot's owner in the next view. Slots without rows follow the ring; slots whose seat stays
 * keep it; slots of seats that are gone go to their ring default if that has room, else on along the ring to the
 * next with room; then over-full seats give up the fewest rows to seats with room. `previous` holds the seat
 * numbers of the view before, null where there was none.
 */
export function levelOwners(
  seats: readonly Seat[],
  ring: SlotRing,
  previous: ArrayLike<number> | null,
  slotRows: ArrayLike<number>,
): Uint16Array {
  if (seats.length === 0) return new Uint16Array(ring.defaults.length).fill(NOBODY);
  const load = new SeatLoad(seats, ring, previous, slotRows);
  const quotas = placeHotSlots(load);
  const room = new RoomAlongRing(load, targetsOf(quotas, Array.from(load.rows), load.totalRows));
  placeOrphans(load, room);
  // Targets are stricter than settling: who only differs by part of a slot gives nothing, so that a plan is final.
  if (!new Settling(load, quotas).settled) {
    giveToDefaults(load, room);
    giveAlongRing(load, room);
  }
  new Settling(load, quotas).run();
  return Uint16Array.from(load.owners, (index) => seats[index]?.seat ?? NOBODY);
}

/** Whether a plan with the same members would move rows. */
export function needsLevelling(
  { view, owners }: { view: RingView; owners: Uint16Array },
  slotRows: ArrayLike<number>,
): boolean {
  if (view.seats.length === 0) return false;
  const ring = buildSlotRing(
    view.seats.map((seat) => seat.seat),
    owners.length,
  );
  const load = new SeatLoad(view.seats, ring, owners, slotRows);
  const before = load.rows.slice();
  const quotas = placeHotSlots(load);
  return load.rows.some((rows, seat) => rows !== before[seat]) || !new Settling(load, quotas).settled;
}

/** Slots of seats that are gone. What fits nowhere goes, the largest first, to the seat with the most room. */
function placeOrphans(load: SeatLoad, room: RoomAlongRing): void {
  const unfitting: number[] = [];
  for (let slot = 0; slot < load.slotCount; slot++) {
    if (load.ownerOf(slot) !== UNPLACED) continue;
    const seat = room.next(slot, load.rowsIn(slot));
    if (seat === UNPLACED) unfitting.push(slot);
    else load.move(slot, seat);
  }
  unfitting.sort((a, b) => load.rowsIn(b) - load.rowsIn(a) || a - b);
  for (const slot of unfitting) load.move(slot, room.most());
}

/** Over-full seats first give slots that the ring would give to a seat with room. */
function giveToDefaults(load: SeatLoad, room: RoomAlongRing): void {
  for (let slot = 0; slot < load.slotCount; slot++) {
    const count = load.rowsIn(slot);
    const seat = load.defaultOf(slot);
    if (seat !== load.ownerOf(slot) && mayGive(load, room, slot) && room.of(seat) >= count)
      load.move(slot, seat);
  }
}

/** Then any slots that fit, to the next seat along the ring with room. */
function giveAlongRing(load: SeatLoad, room: RoomAlongRing): void {
  for (let slot = 0; slot < load.slotCount; slot++) {
    if (!mayGive(load, room, slot)) continue;
    const seat = room.next(slot, load.rowsIn(slot));
    if (seat !== UNPLACED) load.move(slot, seat);
  }
}

function mayGive(load: SeatLoad, room: RoomAlongRing, slot: number): boolean {
  const count = load.rowsIn(slot);
  return count > 0 && load.pinned[slot] === 0 && -room.of(load.ownerOf(slot)) >= count;
}
