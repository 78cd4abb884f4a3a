import { expect, test } from "vitest";
import { checkCapacity } from "../../../../cli/fleet/capacity.js";

test("so many as memory has room for, at most 100; those that run already have theirs", () => {
  expect(() => checkCapacity(100, 0, 64_000)).not.toThrow();
  expect(() => checkCapacity(101, 0, 64_000)).toThrow(
    /^101 workers are too many for this machine, at most 100 here: each is a process with 4 connections/,
  );
  expect(() => checkCapacity(5, 0, 500)).not.toThrow();
  expect(() => checkCapacity(6, 0, 550)).toThrow(
    /at most 5 here: each takes about 100 MB, and 550 MB are free/,
  );
  expect(() => checkCapacity(6, 5, 150)).not.toThrow();
});

test("one worker, or fewer than there are, is never refused", () => {
  expect(() => checkCapacity(1, 0, 10)).not.toThrow();
  expect(() => checkCapacity(3, 50, 0)).not.toThrow();
});
