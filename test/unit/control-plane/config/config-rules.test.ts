import { describe, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../../../core/versions/config.js";
import { parseConfig } from "../../../../core/versions/config-input.js";
import { placeConfig } from "../../../../core/versions/config-schedule.js";

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

describe("parseConfig says path, value and range", () => {
  test.each<[unknown, string]>([
    [{ ...DEFAULT_CONFIG, tickMs: "x" }, 'tickMs: "x" must be a whole number from 100 to 3600000'],
    [{ ...DEFAULT_CONFIG, tickMs: -1 }, "tickMs: -1 must be a whole number from 100 to 3600000"],
    [
      { ...DEFAULT_CONFIG, increment: Number.NaN },
      "increment: NaN must be a whole number from -1000000 to 1000000",
    ],
    [{ ...DEFAULT_CONFIG, extra: 1 }, "extra: unknown key, must be one of tickMs, increment"],
    [{ ...DEFAULT_CONFIG, custom: nested(30) }, "is nested deeper than 16 levels"],
    [
      { ...DEFAULT_CONFIG, custom: JSON.parse('{"__proto__":1}') },
      "custom.__proto__: this key is not allowed",
    ],
    [{ ...DEFAULT_CONFIG, custom: { a: "x".repeat(40_000) } }, "must have at most 32768"],
    [null, "config: null must be an object"],
    [{}, "tickMs: (missing) must be a whole number"],
  ])("%#", (input, message) => {
    expect(() => parseConfig(input)).toThrow(message);
  });
  test("and takes what is right", () => {
    expect(parseConfig(DEFAULT_CONFIG)).toEqual(DEFAULT_CONFIG);
  });
});

describe("placeConfig", () => {
  const first = { version: 1, activatesAtMs: 0, tickMs: 1000 };
  const later = { version: 2, activatesAtMs: 10_000, tickMs: 300 };
  const place = (versions: (typeof first)[], wantedMs: number | null, replace = false) =>
    placeConfig({ versions, nowMs: 5100, wantedMs, mayReplace: () => replace });

  test("rounds up to the grid in force by then, a pending one's included", () => {
    expect(place([first], 7001)).toEqual({ kind: "at", activatesAtMs: 8000 });
    expect(place([first], 7000)).toEqual({ kind: "at", activatesAtMs: 7000 });
    expect(place([first, later], 10_001)).toEqual({ kind: "at", activatesAtMs: 10_200 });
  });
  test("refuses the past and what is too near, and says the earliest that can still be asked for a second later", () => {
    expect(place([first], 1000)).toEqual({ kind: "too_soon", earliestMs: 7000 });
    expect(place([first], 5300)).toEqual({ kind: "too_soon", earliestMs: 7000 });
    expect(place([first, later], 1000)).toEqual({ kind: "pending", version: 2 });
    expect(place([first], null)).toEqual({ kind: "at", activatesAtMs: 6000 });
  });
  test("ahead of a pending version only with replace", () => {
    expect(place([first, later], null)).toEqual({ kind: "pending", version: 2 });
    expect(place([first, later], null, true)).toEqual({ kind: "at", activatesAtMs: 6000 });
  });
  test("as soon as possible is after what is about to rule at just that moment", () => {
    const soon = { version: 2, activatesAtMs: 6000, tickMs: 500 };
    expect(place([first, soon], null)).toEqual({ kind: "at", activatesAtMs: 6500 });
    expect(place([first, soon], 6000)).toEqual({ kind: "pending", version: 2 });
    const next = { version: 3, activatesAtMs: 6500, tickMs: 200 };
    expect(place([first, soon, next], null)).toEqual({ kind: "at", activatesAtMs: 6600 });
    expect(place([first, soon, { ...next, activatesAtMs: 9000 }], null)).toEqual({
      kind: "pending",
      version: 3,
    });
    expect(place([first, soon], null, true)).toEqual({ kind: "at", activatesAtMs: 6000 });
  });
  test("a replaced version no longer counts as pending", () => {
    const replaced = [first, later, { version: 3, activatesAtMs: 6000, tickMs: 1000 }];
    expect(place(replaced, 8000)).toEqual({ kind: "at", activatesAtMs: 8000 });
  });
});
