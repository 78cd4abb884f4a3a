import type { Seat } from "./view.js";

/** Somebody who shall sit in the next view. */
export interface Member {
  worker: string;
  incarnation: number;
  weight: number;
  revision: string;
}

/**
 * Who sits where in the next view, by ascending seat number. Survivors keep their seats; a joiner takes a
 * leaver's (of the same name where there is one), further joiners get the lowest free numbers; empty seats go.
 * The order of `members` doesn't matter.
 */
export function assignSeats(previous: readonly Seat[], members: readonly Member[]): Seat[] {
  const staying = new Map(members.map((member) => [member.incarnation, member]));
  const seats: Seat[] = [];
  const left: Seat[] = [];
  for (const seat of [...previous].sort((a, b) => a.seat - b.seat)) {
    const member = staying.get(seat.incarnation);
    if (member === undefined) left.push(seat);
    else seats.push(seated(seat.seat, member));
    staying.delete(seat.incarnation);
  }
  const joiners = [...staying.values()].sort((a, b) => a.incarnation - b.incarnation);
  const homeless: Member[] = [];
  for (const joiner of joiners) {
    const own = left.findIndex((seat) => seat.worker === joiner.worker);
    if (own < 0) homeless.push(joiner);
    else for (const { seat } of left.splice(own, 1)) seats.push(seated(seat, joiner));
  }
  const taken = new Set(seats.map((seat) => seat.seat));
  let lowest = 0;
  for (const joiner of homeless) {
    const freed = left.shift();
    while (freed === undefined && taken.has(lowest)) lowest += 1;
    const number = freed?.seat ?? lowest;
    taken.add(number);
    seats.push(seated(number, joiner));
  }
  return seats.sort((a, b) => a.seat - b.seat);
}

function seated(seat: number, member: Member): Seat {
  const { worker, incarnation, weight, revision } = member;
  return { seat, worker, incarnation, weight, revision };
}
