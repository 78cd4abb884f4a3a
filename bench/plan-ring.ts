// How long a plan of a large fleet takes: 1,000 workers, 16,384 slots, 1 million rows.
// Run: npm run bench:plan [-- workers rows runs]

import { idealMoves, imbalance, rowsMoved } from "../core/ring/balance.js";
import { type Member, planRing } from "../core/ring/plan.js";
import { SLOT_COUNT } from "../core/ring/slots.js";
import { RingSnapshot } from "../core/ring/view.js";

const [workers = 1000, rows = 1_000_000, runs = 25] = process.argv.slice(2).map(Number);

/** Mulberry32: the same table in every run. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function table(): Uint32Array {
  const random = randomSource(1);
  const slotRows = new Uint32Array(SLOT_COUNT);
  for (let row = 0; row < rows; row++) {
    const slot = Math.floor(random() * SLOT_COUNT);
    slotRows[slot] = (slotRows[slot] ?? 0) + 1;
  }
  return slotRows;
}

function fleet(first: number, count: number): Member[] {
  return Array.from({ length: count }, (_, index) => {
    return { worker: `worker-${first + index}`, incarnation: first + index, weight: 1, revision: "" };
  });
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

function measure(name: string, before: RingSnapshot | null, members: readonly Member[]): RingSnapshot {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const startedAt = performance.now();
    planRing(before, members, slotRows, []);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const after = new RingSnapshot(planRing(before, members, slotRows, []), 2);
  const moved = rowsMoved(before, after, slotRows);
  const ideal = idealMoves(before, after, slotRows);
  console.log(
    [
      name.padEnd(22),
      `median ${percentile(times, 0.5).toFixed(1)} ms`,
      `p95 ${percentile(times, 0.95).toFixed(1)} ms`,
      `max ${percentile(times, 1).toFixed(1)} ms`,
      `moved ${moved} of ideal ${ideal}`,
      `fullest/quota ${imbalance(after, slotRows).ratio.toFixed(3)}`,
      `${after.view.exceptions.length} exceptions`,
    ].join("  "),
  );
  return after;
}

const slotRows = table();
const all = fleet(1, workers);
console.log(`${workers} workers, ${SLOT_COUNT} slots, ${rows} rows, ${runs} runs`);
const initial = measure("first plan", null, all);
measure("again, unchanged", initial, all);
measure("1 joins", initial, [...all, ...fleet(workers + 1, 1)]);
measure("1 leaves", initial, all.slice(1));
measure("1 replaced", initial, [...all.slice(1), ...fleet(workers + 1, 1)]);
measure("10% join", initial, [...all, ...fleet(workers + 1, Math.ceil(workers / 10))]);
measure("half leave", initial, all.slice(Math.ceil(workers / 2)));
