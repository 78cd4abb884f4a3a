import { expect, test } from "vitest";
import { SLOT_COUNT, slotOf } from "../../../../core/ring/slots.js";

// The right column comes from Postgres 15: (('x' || left(md5(id), 4))::bit(16)::int >> 2).
test.each([
  ["1", 12594],
  ["42", 10356],
  ["9007199254740993", 3211],
  ["00000000-0000-0000-0000-000000000000", 10210],
  ["3f2504e0-4f89-41d3-9a0c-0305e82c3301", 6434],
  ["wallet/é", 9446],
])("the slot of %s is the table's: %i", (id, slot) => {
  expect(slotOf(id)).toBe(slot);
});

test("slots of many ids lie within the circle, evenly", () => {
  const quarters = [0, 0, 0, 0];
  for (let id = 0; id < 4000; id++) {
    const slot = slotOf(String(id));
    expect(slot >= 0 && slot < SLOT_COUNT).toBe(true);
    const quarter = Math.floor((slot * 4) / SLOT_COUNT);
    quarters[quarter] = (quarters[quarter] ?? 0) + 1;
  }
  for (const count of quarters) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
