import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Loop } from "../../../../core/lifecycle/loop.js";

const unexpected = (error: unknown) => {
  throw error;
};

/** A step whose rounds the test ends by hand. */
function manualStep() {
  const rounds: { end: (pauseMs: number) => void; fail: (error: unknown) => void }[] = [];
  const step = () =>
    new Promise<number>((resolve, reject) => {
      rounds.push({ end: resolve, fail: reject });
    });
  return { rounds, step };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("rounds", () => {
  it("follow each other after the time that the step returned", async () => {
    const step = vi.fn(async () => 100);
    const loop = new Loop({ step, onError: unexpected });
    loop.start();
    loop.start();
    expect(step).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(99);
    expect(step).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(step).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(step).toHaveBeenCalledTimes(12);
    await loop.stop();
  });

  it("come at once when woken", async () => {
    const step = vi.fn(async () => 10_000);
    const loop = new Loop({ step, onError: unexpected });
    loop.start();
    await vi.advanceTimersByTimeAsync(1);
    loop.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(step).toHaveBeenCalledTimes(2);
    await loop.stop();
  });

  it("never overlap: woken while one runs, one more follows it", async () => {
    const { rounds, step } = manualStep();
    const loop = new Loop({ step, onError: unexpected });
    loop.start();
    for (let i = 0; i < 5; i++) loop.wake();
    await vi.advanceTimersByTimeAsync(1000);
    expect(rounds).toHaveLength(1);
    rounds[0]?.end(10_000);
    await vi.advanceTimersByTimeAsync(0);
    expect(rounds).toHaveLength(2);
    rounds[1]?.end(10_000);
    await vi.advanceTimersByTimeAsync(9999);
    expect(rounds).toHaveLength(2);
    await loop.stop();
  });

  it("wait for a wake where the step returns Infinity", async () => {
    const step = vi.fn(async () => Number.POSITIVE_INFINITY);
    const loop = new Loop({ step, onError: unexpected });
    loop.start();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(step).toHaveBeenCalledTimes(1);
    loop.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(step).toHaveBeenCalledTimes(2);
    await loop.stop();
  });
});

describe("failures", () => {
  it("are told, and the rounds after them come later and later", async () => {
    const at: number[] = [];
    const started = Date.now();
    const errors: unknown[] = [];
    const loop = new Loop({
      step: async () => {
        at.push(Date.now() - started);
        throw new Error("no");
      },
      onError: (error) => errors.push(error),
      random: () => 0.5,
    });
    loop.start();
    await vi.advanceTimersByTimeAsync(2000);
    expect(at).toEqual([0, 50, 150, 350, 750, 1250, 1750]);
    expect(errors).toHaveLength(7);
    await loop.stop();
  });

  it("are forgotten after a round that went well", async () => {
    const outcomes = ["fail", "fail", "fail", "well", "fail", "well"];
    const at: number[] = [];
    const started = Date.now();
    const loop = new Loop({
      step: async () => {
        at.push(Date.now() - started);
        if (outcomes[at.length - 1] === "fail") throw new Error("no");
        return 1000;
      },
      onError: () => undefined,
      random: () => 0.5,
    });
    loop.start();
    await vi.advanceTimersByTimeAsync(1500);
    expect(at).toEqual([0, 50, 150, 350, 1350, 1400]);
    await loop.stop();
  });

  it("include a step that throws at once, or returns NaN", async () => {
    const errors: unknown[] = [];
    const steps = [
      () => {
        throw new Error("thrown");
      },
      async () => Number.NaN,
      async () => 1000,
    ];
    const loop = new Loop({
      step: () => (steps.shift() ?? (async () => 1000))(),
      onError: (error) => errors.push(String(error)),
    });
    loop.start();
    await vi.advanceTimersByTimeAsync(500);
    expect(errors).toEqual(["Error: thrown", expect.stringContaining("NaN")]);
    await loop.stop();
  });
});

describe("stop", () => {
  it("tolerates a loop that never started, and keeps it from starting", async () => {
    const step = vi.fn(async () => 1);
    const loop = new Loop({ step, onError: unexpected });
    await loop.stop();
    await loop.stop();
    loop.start();
    await vi.advanceTimersByTimeAsync(10);
    expect(step).not.toHaveBeenCalled();
  });

  it("resolves, for every caller, only when the round has ended", async () => {
    const { rounds, step } = manualStep();
    const loop = new Loop({ step, onError: unexpected });
    loop.start();
    let stopped = 0;
    const stops = [loop.stop(), loop.stop()].map((stop) => stop.then(() => stopped++));
    await vi.advanceTimersByTimeAsync(1000);
    expect(stopped).toBe(0);
    rounds[0]?.end(0);
    await Promise.all(stops);
    expect(rounds).toHaveLength(1);
  });

  it("ends a pause, and leaves no timer", async () => {
    const loop = new Loop({ step: async () => 60_000, onError: unexpected });
    loop.start();
    await vi.advanceTimersByTimeAsync(1);
    await loop.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("aborts the step's signal; the abort isn't told as a failure, other errors are", async () => {
    const errors: unknown[] = [];
    const aborted = (end: (signal: AbortSignal) => unknown) =>
      new Loop({
        step: (signal) =>
          new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(end(signal)))),
        onError: (error) => errors.push(error),
      });
    const other = new Error("the commit was refused");
    for (const loop of [aborted((signal) => signal.reason), aborted(() => other)]) {
      loop.start();
      await loop.stop();
    }
    expect(errors).toEqual([other]);
  });
});

describe("progressAt", () => {
  it("stands at the start, then at the end of the newest round, failed or not", async () => {
    let now = 5;
    const { rounds, step } = manualStep();
    const loop = new Loop({ step, onError: () => undefined, now: () => now });
    now = 100;
    loop.start();
    now = 200;
    await vi.advanceTimersByTimeAsync(0);
    expect(loop.progressAt).toBe(100);
    rounds[0]?.end(0);
    await vi.advanceTimersByTimeAsync(0);
    expect(loop.progressAt).toBe(200);
    now = 300;
    rounds[1]?.fail(new Error("no"));
    await vi.advanceTimersByTimeAsync(0);
    expect(loop.progressAt).toBe(300);
    const stopped = loop.stop();
    rounds[2]?.end(0);
    await stopped;
  });
});
