import { type Quota, quotaOf, quotasOf } from "./quota.js";
import { type SeatLoad, UNPLACED } from "./seat-load.js";
import { SLOT_COUNT } from "./slots.js";

/**
 * A slot with more rows than a seat's whole share can't be split: it gets a seat of its own (the one that has
 * it, else the next along the ring), and the others share the rest. Returns every seat's quota; pins the slots.
 */
export function placeHotSlots(load: SeatLoad): Quota[] {
  load.pinned.fill(0);
  const quotas = quotasOf(load.weights, load.totalRows);
  const leastMost = quotas.reduce((least, quota) => Math.min(least, quota.most), Number.POSITIVE_INFINITY);
  const largest = largestSlot(load);
  if (largest <= leastMost) return quotas;

  const hotSeats = new Map<number, number>();
  const lightest = load.weights.reduce((least, weight) => Math.min(least, weight), Number.POSITIVE_INFINITY);
  let rows = load.totalRows;
  let weight = load.weights.reduce((total, each) => total + each, 0);
  for (const slot of slotsBySize(load)) {
    const count = load.rowsIn(slot);
    if (hotSeats.size === load.seatCount - 1 || count <= quotaOf(lightest, weight, rows).most) break;
    const seat = seatForHot(load, slot, hotSeats);
    const share = load.weights[seat] ?? 0;
    if (count <= quotaOf(share, weight, rows).most) continue;
    hotSeats.set(seat, count);
    load.pinned[slot] = 1;
    if (load.ownerOf(slot) !== seat) load.move(slot, seat);
    rows -= count;
    weight -= share;
  }
  return load.weights.map((each, seat) => {
    const hot = hotSeats.get(seat);
    return hot === undefined ? quotaOf(each, weight, rows) : { rows: hot, least: hot, most: hot };
  });
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
  for (let slot = 0; slot < SLOT_COUNT; slot++) largest = Math.max(largest, load.rowsIn(slot));
  return largest;
}

function slotsBySize(load: SeatLoad): number[] {
  const slots: number[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) if (load.rowsIn(slot) > 0) slots.push(slot);
  return slots.sort((a, b) => load.rowsIn(b) - load.rowsIn(a) || a - b);
}
