/** Rows that one statement should work: enough to pay for its round trip, few enough to stay interruptible. */
const TARGET_ROWS = 3000;
/** A chunk found with more rows than this is split before its next tick. */
const MAX_ROWS = 5000;
/** A chunk that couldn't be worked in time is cut into this many: soon one of them can. */
const PARTS_OF_UNKNOWN = 8;

/** Some of a slice's slots, ascending, that one statement works. */
export interface Chunk {
  slots: readonly number[];
  /** Rows found at the newest tick; null where they were too many to be worked in time. */
  rows: number | null;
}

/**
 * Cuts a slice's slots (ascending) into chunks of about 3,000 rows. `rowsPerSlot` is the best guess at hand;
 * `fitChunks` repairs what it got wrong.
 */
export function chunkSlots(slots: readonly number[], rowsPerSlot: number): Chunk[] {
  return cut(slots, rowsPerSlot <= 0 ? slots.length : Math.max(1, Math.floor(TARGET_ROWS / rowsPerSlot)));
}

/**
 * The chunks for the next tick: those are cut that held more than 5,000 rows or that Postgres didn't get through
 * in time. Where a complete tick (`rowsPerSlot` not null) shows that far fewer chunks would do, all are cut anew.
 */
export function fitChunks(chunks: readonly Chunk[], rowsPerSlot: number | null): Chunk[] {
  if (rowsPerSlot !== null) {
    const slots = chunks.flatMap((chunk) => chunk.slots);
    const anew = chunkSlots(slots, rowsPerSlot);
    if (chunks.length > 2 * anew.length + 2) return anew;
  }
  return chunks.flatMap((chunk) => {
    if (chunk.rows !== null && chunk.rows <= MAX_ROWS) return [chunk];
    const parts = chunk.rows === null ? PARTS_OF_UNKNOWN : Math.ceil(chunk.rows / TARGET_ROWS);
    return cut(chunk.slots, Math.ceil(chunk.slots.length / parts));
  });
}

function cut(slots: readonly number[], slotsPerChunk: number): Chunk[] {
  const chunks: Chunk[] = [];
  for (let first = 0; first < slots.length; first += slotsPerChunk) {
    chunks.push({ slots: slots.slice(first, first + slotsPerChunk), rows: 0 });
  }
  return chunks;
}

/** The chunks in the order of work: starting with the first that holds `firstSlot` or stands behind it. */
export function rotateChunks(chunks: readonly Chunk[], firstSlot: number | null): Chunk[] {
  if (firstSlot === null) return [...chunks];
  const start = chunks.findIndex((chunk) => (chunk.slots[chunk.slots.length - 1] ?? -1) >= firstSlot);
  return start <= 0 ? [...chunks] : [...chunks.slice(start), ...chunks.slice(0, start)];
}
