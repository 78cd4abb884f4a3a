import { buildSlotRing } from "./hash-ring.js";
import { levelOwners } from "./level.js";
import { assignSeats, type Member } from "./seats.js";
import { SLOT_COUNT } from "./slots.js";
import type { RingSnapshot, RingView, Seat } from "./view.js";

export type { Member } from "./seats.js";

/**
 * The next ring view: who sits where and who owns each slot, with the fewest rows moved. Pure: the same
 * arguments give the same view, in whatever order `members` stand.
 *
 * @param previous the view it follows (the highest published one), null for the first
 * @param members all who shall sit, survivors and joiners; who sat before and isn't among them leaves
 * @param slotRows rows of each of the 16,384 slots
 * @param slotCount another than the product's only in simulations
 * @param dead incarnations that are dead or superseded; the view names those of them that leave by it
 */
export function planRing(
  previous: Pick<RingSnapshot, "view" | "owners"> | null,
  members: readonly Member[],
  slotRows: ArrayLike<number>,
  dead: readonly number[],
  slotCount = SLOT_COUNT,
): RingView {
  const seats = assignSeats(previous?.view.seats ?? [], members);
  const ring = buildSlotRing(
    seats.map((seat) => seat.seat),
    slotCount,
  );
  const owners = levelOwners(seats, ring, previous?.owners ?? null, slotRows);
  return {
    format: 1,
    seats,
    exceptions: runsOf(owners, ring.defaults),
    dead: deadLeavers(previous?.view.seats ?? [], seats, dead),
  };
}

function deadLeavers(before: readonly Seat[], after: readonly Seat[], dead: readonly number[]): number[] {
  const staying = new Set(after.map((seat) => seat.incarnation));
  const named = new Set(dead);
  return before
    .map((seat) => seat.incarnation)
    .filter((incarnation) => named.has(incarnation) && !staying.has(incarnation))
    .sort((a, b) => a - b);
}

/** Slots whose owner isn't the ring's default, as runs of equal owner. */
function runsOf(owners: Uint16Array, defaults: Uint16Array): [number, number, number][] {
  const runs: [number, number, number][] = [];
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot] ?? 0;
    if (owner === defaults[slot]) continue;
    const last = runs[runs.length - 1];
    if (last !== undefined && last[0] + last[1] === slot && last[2] === owner) last[1] += 1;
    else runs.push([slot, 1, owner]);
  }
  return runs;
}
