/** Rows that one statement should work: enough to pay for its round trip, few enough to stay interruptible. */
const TARGET_ROWS = 3000;
/** A chunk found with more rows than this is split before its next tick. */
const MAX_ROWS = 5000;

/** Some of a slice's slots, ascending, that one statement works. */
export interface Chunk {
  slots: readonly number[];
  /** Rows found at the last tick; null before the first. */
  rows: number | null;
}

/**
 * Cuts a slice's slots (ascending) into chunks of about 3,000 rows. `rowsPerSlot` is the best guess at hand;
 * `splitChunks` repairs what it got wrong.
 */
export function chunkSlots(slots: readonly number[], rowsPerSlot: number): Chunk[] {
  const slotsPerChunk = rowsPerSlot <= 0 ? slots.length : Math.max(1, Math.floor(TARGET_ROWS / rowsPerSlot));
  const chunks: Chunk[] = [];
  for (let first = 0; first < slots.length; first += slotsPerChunk) {
    chunks.push({ slots: slots.slice(first, first + slotsPerChunk), rows: null });
  }
  return chunks;
}

/** The same slots with every chunk halved that held more than 5,000 rows and can be. */
export function splitChunks(chunks: readonly Chunk[]): Chunk[] {
  return chunks.flatMap((chunk) => {
    if (chunk.rows === null || chunk.rows <= MAX_ROWS || chunk.slots.length < 2) return [chunk];
    const middle = chunk.slots.length >> 1;
    return [
      { slots: chunk.slots.slice(0, middle), rows: null },
      { slots: chunk.slots.slice(middle), rows: null },
    ];
  });
}

/** The chunks in the order of work: starting with the first that holds `firstSlot` or stands behind it. */
export function rotateChunks(chunks: readonly Chunk[], firstSlot: number | null): Chunk[] {
  if (firstSlot === null) return [...chunks];
  const start = chunks.findIndex((chunk) => (chunk.slots[chunk.slots.length - 1] ?? -1) >= firstSlot);
  return start <= 0 ? [...chunks] : [...chunks.slice(start), ...chunks.slice(0, start)];
}
