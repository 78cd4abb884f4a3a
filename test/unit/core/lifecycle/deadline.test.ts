import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { DeadlineError, withDeadline } from "../../../../core/lifecycle/deadline.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("passes on what comes in time, and leaves no timer", async () => {
  await expect(withDeadline(Promise.resolve(7), 100, "late")).resolves.toBe(7);
  const own = new Error("own");
  await expect(withDeadline(Promise.reject(own), 100, "late")).rejects.toBe(own);
  expect(vi.getTimerCount()).toBe(0);
});

it("rejects at the deadline, and drops an error that comes later", async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const outcome = expect(withDeadline(work, 100, "Redis didn't answer within 100 ms")).rejects.toThrow(
    new DeadlineError("Redis didn't answer within 100 ms"),
  );
  await vi.advanceTimersByTimeAsync(100);
  await outcome;
  fail(new Error("too late to matter"));
  await vi.advanceTimersByTimeAsync(0);
});
