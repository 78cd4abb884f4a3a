import { type Quota, quotaOf } from "./quota.js";
import { type SeatLoad, UNPLACED } from "./seat-load.js";

/**
 * A slot with more rows than any seat's whole share can't be split: it gets a seat of its own (the one that has
 * it, else the next along the ring), and the others share the rest. Returns every seat's quota; pins the slots.
 */
export function placeHotSlots(load: SeatLoad): Quota[] {
  load.pinned.fill(0);
  const hotSeats = new Map<number, number>();
  let rows = load.totalRows;
  let weight = load.weights.reduce((total, each) => total + each, 0);
  const isHot = (count: number) => count > quotaOf(heaviestWithout(load, hotSeats), weight, rows).most;
  const slots = isHot(largestSlot(load)) ? slotsBySize(load) : [];
  for (const slot of slots) {
    const count = load.rowsIn(slot);
    if (hotSeats.size === load.seatCount - 1 || !isHot(count)) break;
    const seat = seatForHot(load, slot, hotSeats);
    hotSeats.set(seat, count);
    load.pinned[slot] = 1;
    if (load.ownerOf(slot) !== seat) load.move(slot, seat);
    rows -= count;
    weight -= load.weights[seat] ?? 0;
  }
  return load.weights.map((each, seat) => {
    const hot = hotSeats.get(seat);
    return hot === undefined ? quotaOf(each, weight, rows) : { rows: hot, least: hot, most: hot };
  });
}

function heaviestWithout(load: SeatLoad, hotSeats: ReadonlyMap<number, number>): number {
  return load.weights.reduce((most, weight, seat) => (hotSeats.has(seat) ? most : Math.max(most, weight)), 0);
}

/** The seat that has the slot, unless a hotter one fills it: then the next along the ring without such. */
function seatForHot(load: SeatLoad, slot: number, hotSeats: ReadonlyMap<number, number>): number {
  const owner = load.ownerOf(slot);
  if (owner !== UNPLACED && !hotSeats.has(owner)) return owner;
  const { points, pointOfSlot } = load.ring;
  let point = pointOfSlot[slot] ?? 0;
  while (hotSeats.has(load.seatAt(point))) point = (point + 1) % points.length;
  return load.seatAt(point);
}

function largestSlot(load: SeatLoad): number {
  let largest = 0;
  for (let slot = 0; slot < load.slotCount; slot++) largest = Math.max(largest, load.rowsIn(slot));
  return largest;
}

function slotsBySize(load: SeatLoad): number[] {
  const slots: number[] = [];
  for (let slot = 0; slot < load.slotCount; slot++) if (load.rowsIn(slot) > 0) slots.push(slot);
  return slots.sort((a, b) => load.rowsIn(b) - load.rowsIn(a) || a - b);
}
