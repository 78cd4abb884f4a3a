import { expect, test } from "vitest";
import { stuckReason } from "../../../../worker/tick/stuck.js";

const LIMIT_MS = 10_000;
const signs = (part: { roundAt?: number; answeredAt?: number; answerLimitMs?: number }) => {
  return { roundAt: 0, answeredAt: 0, answerLimitMs: 2000, ...part };
};

test("a loop without rounds and answers is stuck", () => {
  expect(stuckReason(signs({}), LIMIT_MS, 10_000)).toBeNull();
  expect(stuckReason(signs({}), LIMIT_MS, 11_000)).toBe("the tick loop has made no round for 11 s");
  expect(stuckReason(signs({ roundAt: 5000 }), LIMIT_MS, 11_000)).toBeNull();
});

test("a long tick isn't: its round goes on, and so do the answers", () => {
  expect(stuckReason(signs({ answeredAt: 299_000 }), LIMIT_MS, 300_000)).toBeNull();
});

test("nor is one long statement of a long tick", () => {
  const minute = signs({ answerLimitMs: 61_000 });
  expect(stuckReason(minute, LIMIT_MS, 60_000)).toBeNull();
  expect(stuckReason(minute, LIMIT_MS, 67_000)).toMatch(/no round for 67 s/);
});
