import fc from "fast-check";
import { type Member, planRing } from "../../../../core/ring/plan.js";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";
import { RingSnapshot } from "../../../../core/ring/view.js";

/** A change of a fleet's members; `pick` chooses who, from their number at that moment. */
export type Change =
  | { kind: "join" | "leave" | "replace" | "restart"; count: number; pick: number }
  | { kind: "rows"; table: Table };

export type Table =
  | { kind: "empty" }
  | { kind: "uniform"; rows: number; seed: number }
  | { kind: "sparse"; slots: number; rowsEach: number; seed: number }
  | { kind: "hot"; rows: number; hotSlots: number; hotRows: number; seed: number };

/** Mulberry32: numbers in [0, 1) from a seed, so that fast-check's seed replays everything. */
export function randomSource(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function slotRowsOf(table: Table): Uint32Array {
  const rows = new Uint32Array(SLOT_COUNT);
  if (table.kind === "empty") return rows;
  const random = randomSource(table.seed);
  const anySlot = () => Math.floor(random() * SLOT_COUNT);
  const add = (slot: number, count: number) => {
    rows[slot] = (rows[slot] ?? 0) + count;
  };
  if (table.kind === "sparse") {
    for (let i = 0; i < table.slots; i++) add(anySlot(), 1 + Math.floor(random() * table.rowsEach));
    return rows;
  }
  for (let i = 0; i < table.rows; i++) add(anySlot(), 1);
  if (table.kind === "hot") for (let i = 0; i < table.hotSlots; i++) add(anySlot(), table.hotRows);
  return rows;
}

const seed = fc.integer();
export const uniformTable: fc.Arbitrary<Table> = fc.record({
  kind: fc.constant("uniform" as const),
  rows: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 200_000 })),
  seed,
});
export const anyTable: fc.Arbitrary<Table> = fc.oneof(
  { arbitrary: uniformTable, weight: 3 },
  { arbitrary: fc.constant<Table>({ kind: "empty" }), weight: 1 },
  {
    arbitrary: fc.record({
      kind: fc.constant("sparse" as const),
      slots: fc.integer({ min: 1, max: 400 }),
      rowsEach: fc.integer({ min: 1, max: 1000 }),
      seed,
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant("hot" as const),
      rows: fc.integer({ min: 0, max: 20_000 }),
      hotSlots: fc.integer({ min: 1, max: 12 }),
      hotRows: fc.integer({ min: 100, max: 50_000 }),
      seed,
    }),
    weight: 2,
  },
);

export const memberChange: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("join" as const, "leave" as const, "replace" as const, "restart" as const),
  count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 150 })),
  pick: fc.nat(),
});
export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: memberChange, weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant("rows" as const), table: anyTable }), weight: 1 },
);

export const fleetSize = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 300 }));

/** A fleet that lives through changes of its members and of its table. */
export class Fleet {
  readonly #weightOf: (incarnation: number) => number;
  #incarnations = 0;
  members: Member[] = [];
  slotRows: Uint32Array;
  ring: RingSnapshot | null = null;
  dead: number[] = [];

  constructor(size: number, table: Table, weightOf: (incarnation: number) => number = () => 1) {
    this.#weightOf = weightOf;
    this.slotRows = slotRowsOf(table);
    this.members = Array.from({ length: size }, () => this.#newcomer());
  }

  /** Plans for the members as they are and takes the view as published. */
  plan(): { before: RingSnapshot | null; after: RingSnapshot } {
    const before = this.ring;
    const view = planRing(before, this.members, this.slotRows, this.dead);
    this.ring = new RingSnapshot(view, (before?.version ?? 0) + 1);
    this.dead = [];
    return { before, after: this.ring };
  }

  change(change: Change): void {
    if (change.kind === "rows") {
      this.slotRows = slotRowsOf(change.table);
      return;
    }
    const gone = change.kind === "join" ? [] : this.#take(change.count, change.pick);
    if (change.pick % 2 === 0) this.dead = gone.map((member) => member.incarnation);
    const count = change.kind === "join" ? change.count : gone.length;
    if (change.kind === "leave") return;
    for (let i = 0; i < count && this.members.length < 300; i++) {
      this.members.push(this.#newcomer(change.kind === "restart" ? gone[i]?.worker : undefined));
    }
  }

  #take(count: number, pick: number): Member[] {
    const random = randomSource(pick);
    const gone: Member[] = [];
    while (gone.length < count && this.members.length > 0) {
      gone.push(...this.members.splice(Math.floor(random() * this.members.length), 1));
    }
    return gone;
  }

  #newcomer(name?: string): Member {
    this.#incarnations += 1;
    const incarnation = this.#incarnations;
    const worker = name ?? `worker-${incarnation}`;
    return { worker, incarnation, weight: this.#weightOf(incarnation), revision: "r" };
  }
}

/** Rows of each seat number. */
export function rowsBySeat(ring: RingSnapshot, slotRows: Uint32Array): Map<number, number> {
  const rows = new Map(ring.view.seats.map(({ seat }) => [seat, 0]));
  slotRows.forEach((count, slot) => {
    const seat = ring.owners[slot] ?? -1;
    if (count > 0) rows.set(seat, (rows.get(seat) ?? 0) + count);
  });
  return rows;
}

export function shuffled<T>(items: readonly T[], seedOfOrder: number): T[] {
  const random = randomSource(seedOfOrder);
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
