import { createHash } from "node:crypto";

/** Fixed arcs of the hash circle. A row's slot never changes. */
export const SLOT_COUNT = 16_384;

/** Owner number of a slot that nobody owns. */
export const NOBODY = 0xffff;

/** The slot of a row by its id as text, as work_items.slot computes it: the top 14 bits of the md5. */
export function slotOf(id: string): number {
  return createHash("md5").update(id).digest().readUInt16BE(0) >> 2;
}
