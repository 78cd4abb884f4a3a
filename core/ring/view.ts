import { createHash } from "node:crypto";
import { z } from "zod";
import type { VersionDocument } from "../versions/version.js";
import { buildSlotRing } from "./hash-ring.js";
import { NOBODY, SLOT_COUNT } from "./slots.js";

const seatSchema = z.strictObject({
  seat: z
    .int()
    .min(0)
    .max(NOBODY - 1),
  worker: z.string().min(1),
  incarnation: z.int().positive(),
  weight: z.number().positive(),
  revision: z.string(),
});

const slotSchema = z
  .int()
  .min(0)
  .max(SLOT_COUNT - 1);

const viewSchema = z.strictObject({
  format: z.literal(1),
  /** Who sits where, by ascending seat number. */
  seats: z.array(seatSchema),
  /** Runs of slots whose owner isn't their ring default: first slot, how many, seat number. */
  exceptions: z.array(z.tuple([slotSchema, z.int().min(1).max(SLOT_COUNT), z.int()])),
  /** Incarnations that left by this view because they are dead: their slots are handed over without waiting. */
  dead: z.array(z.int()),
});

/** A published ring version's body. */
export type RingView = z.infer<typeof viewSchema>;
export type Seat = z.infer<typeof seatSchema>;

const ringViewSchema = viewSchema.superRefine((view, context) => {
  for (const message of contradictionsIn(view)) context.addIssue({ code: "custom", message });
});

function* contradictionsIn({ seats, exceptions }: RingView): Generator<string> {
  if (seats.some(({ seat }, index) => index > 0 && seat <= (seats[index - 1]?.seat ?? 0))) {
    yield "seats must ascend, each once";
  }
  if (new Set(seats.map((seat) => seat.incarnation)).size < seats.length) yield "an incarnation sits twice";
  const numbers = new Set(seats.map((seat) => seat.seat));
  let free = 0;
  for (const [first, count, seat] of exceptions) {
    if (!numbers.has(seat)) yield `exception at slot ${first} names seat ${seat}, where nobody sits`;
    if (first < free) yield `exception at slot ${first} overlaps the one before`;
    free = first + count;
  }
  if (free > SLOT_COUNT) yield "exceptions go past the last slot";
}

/** The owners computed here aren't those that were published: this release must not work under the view. */
export class RingDigestMismatchError extends Error {
  constructor(version: number, published: string, computed: string) {
    super(`ring ${version} was published with digest ${published}, but gives ${computed} here`);
  }
}

/** Seat number of each slot's owner: the ring's default, then the exceptions; NOBODY without seats. */
export function ownersOf(view: RingView, slotCount = SLOT_COUNT): Uint16Array {
  const seats = view.seats.map((seat) => seat.seat);
  const owners = buildSlotRing(seats, slotCount).defaults;
  for (const [first, count, seat] of view.exceptions) owners.fill(seat, first, first + count);
  return owners;
}

/** SHA-256, in hex, over all that decides who works what: format, seats, dead, and all 16,384 owners. */
export function ringDigest(view: RingView, owners: Uint16Array = ownersOf(view)): string {
  const bytes = Buffer.alloc(owners.length * 2);
  owners.forEach((seat, slot) => {
    bytes.writeUInt16BE(seat, slot * 2);
  });
  const seats = view.seats.map((s) => [s.seat, s.worker, s.incarnation, s.weight, s.revision]);
  const ownersDigest = createHash("sha256").update(bytes).digest("hex");
  return createHash("sha256")
    .update(JSON.stringify([view.format, seats, view.dead, ownersDigest]))
    .digest("hex");
}

/** An immutable ring view with its owners, ready for use. */
export class RingSnapshot {
  readonly version: number;
  readonly digest: string;
  readonly view: RingView;
  readonly owners: Uint16Array;
  readonly #seatBySeatNumber: ReadonlyMap<number, Seat>;
  readonly #seatByIncarnation: ReadonlyMap<number, number>;
  #slots: Map<number, number[]> | null = null;

  constructor(view: RingView, version: number, slotCount = SLOT_COUNT) {
    this.version = version;
    this.view = view;
    this.owners = ownersOf(view, slotCount);
    this.digest = ringDigest(view, this.owners);
    this.#seatBySeatNumber = new Map(view.seats.map((seat) => [seat.seat, seat]));
    this.#seatByIncarnation = new Map(view.seats.map((seat) => [seat.incarnation, seat.seat]));
  }

  /** Seat number of an incarnation, or null where it has none. */
  seatOf(incarnation: number): number | null {
    return this.#seatByIncarnation.get(incarnation) ?? null;
  }

  /** Who owns a slot, or null where nobody does. */
  ownerOf(slot: number): Seat | null {
    return this.#seatBySeatNumber.get(this.owners[slot] ?? NOBODY) ?? null;
  }

  incarnationOf(slot: number): number | null {
    return this.ownerOf(slot)?.incarnation ?? null;
  }

  /** Slots of an incarnation, ascending; empty where it has no seat. */
  slotsOf(incarnation: number): readonly number[] {
    const seat = this.seatOf(incarnation);
    return seat === null ? [] : (this.#slotsBySeat().get(seat) ?? []);
  }

  #slotsBySeat(): Map<number, number[]> {
    if (this.#slots !== null) return this.#slots;
    const slots = new Map<number, number[]>();
    this.owners.forEach((seat, slot) => {
      const list = slots.get(seat);
      if (list === undefined) slots.set(seat, [slot]);
      else list.push(slot);
    });
    this.#slots = slots;
    return slots;
  }
}

/**
 * Opens a ring version. Throws RingDigestMismatchError where it gives another digest here, ZodError where it is no
 * ring view at all.
 */
export function openRingSnapshot(
  document: Pick<VersionDocument, "version" | "digest" | "body">,
  slotCount = SLOT_COUNT,
): RingSnapshot {
  const snapshot = new RingSnapshot(ringViewSchema.parse(document.body), document.version, slotCount);
  if (snapshot.digest !== document.digest) {
    throw new RingDigestMismatchError(document.version, document.digest, snapshot.digest);
  }
  return snapshot;
}
