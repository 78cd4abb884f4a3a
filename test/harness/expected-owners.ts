import { createHash } from "node:crypto";

// The test's own reading of a ring view, from the documented format alone (docs/decisions/0004): it shares no
// code with the product, so that both would have to be wrong in the same way.

const SLOTS = 16384;
const VNODES = 4;
const NOBODY = -1;

interface Seat {
  seat: number;
  worker: string;
  incarnation: number;
}

interface ViewBody {
  seats: Seat[];
  exceptions: [number, number, number][];
}

/** Ketama points of a seat: 4 md5 digests of 4 little-endian 32-bit points each. */
function pointsOf(seat: number): number[] {
  const points: number[] = [];
  for (let vnode = 0; vnode < VNODES; vnode++) {
    const digest = createHash("md5").update(`seat-${seat}-${vnode}`).digest();
    for (let at = 0; at < 16; at += 4) points.push(digest.readUInt32LE(at));
  }
  return points;
}

/** The seat that owns each slot under a view's body; null where nobody does. */
export function expectedSeats(body: ViewBody): (Seat | null)[] {
  const circle = body.seats
    .flatMap(({ seat }) => pointsOf(seat).map((point) => ({ point, seat })))
    .sort((a, b) => a.point - b.point);
  const seats = new Array<number>(SLOTS).fill(NOBODY);
  let next = 0;
  for (let slot = 0; slot < SLOTS && circle.length > 0; slot++) {
    const position = slot * 2 ** 18;
    while (next < circle.length && (circle[next]?.point ?? 0) < position) next++;
    seats[slot] = (circle[next] ?? circle[0])?.seat ?? NOBODY;
  }
  for (const [first, count, seat] of body.exceptions) seats.fill(seat, first, first + count);
  const byNumber = new Map(body.seats.map((seat) => [seat.seat, seat]));
  return seats.map((seat) => byNumber.get(seat) ?? null);
}

/** Worker name of each slot under a view's body; null where nobody owns it. */
export function expectedOwners(body: ViewBody): (string | null)[] {
  return expectedSeats(body).map((seat) => seat?.worker ?? null);
}

/** The slot of a row: the top 14 bits of md5 over its id as text. */
export function expectedSlot(id: string): number {
  return Number.parseInt(createHash("md5").update(id).digest("hex").slice(0, 4), 16) >> 2;
}
