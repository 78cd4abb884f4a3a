import { describe, expect, test } from "vitest";
import { Drain } from "../../../../worker/leaving/drain.js";

/** Timers on a clock that a test moves. */
class TestTimers {
  now = 0;
  readonly #due = new Map<number, { at: number; run: () => void }>();
  #next = 0;

  setTimeout(run: () => void, ms: number): unknown {
    this.#due.set(++this.#next, { at: this.now + ms, run });
    return this.#next;
  }

  clearTimeout(timer: unknown): void {
    this.#due.delete(timer as number);
  }

  async pass(ms: number): Promise<void> {
    this.now += ms;
    for (const [timer, { at, run }] of this.#due) {
      if (at > this.now) continue;
      this.#due.delete(timer);
      run();
    }
    await Promise.resolve();
  }
}

function leaving(seated: boolean, seatedByNewest: () => Promise<number | null> = async () => null) {
  const timers = new TestTimers();
  const drain = new Drain(() => timers.now, seatedByNewest, timers);
  drain.begin(seated);
  let left: boolean | null = null;
  void drain.done(25_000).then((handedOver) => {
    left = handedOver;
  });
  return { timers, drain, left: () => left };
}

describe("a worker that sits", () => {
  test("ends with the first tick that is sealed without it", async () => {
    const { timers, drain, left } = leaving(true);
    drain.sawTick(true, 7);
    await timers.pass(20_000);
    expect(left()).toBeNull();
    drain.sawTick(false, 8);
    await timers.pass(0);
    expect(left()).toBe(true);
  });

  test("ends without a handover when nobody takes over in time", async () => {
    const { timers, left } = leaving(true);
    await timers.pass(25_000);
    expect(left()).toBe(false);
  });
});

describe("a worker that doesn't sit yet", () => {
  test("waits a moment only", async () => {
    const { timers, left } = leaving(false);
    await timers.pass(2000);
    await timers.pass(0);
    expect(left()).toBe(true);
  });

  test("works the seat that a view published before gives it, until it is handed over", async () => {
    const { timers, drain, left } = leaving(false);
    await timers.pass(500);
    drain.sawTick(true, 7);
    await timers.pass(1500);
    expect(left()).toBeNull();
    await timers.pass(10_000);
    drain.sawTick(false, 8);
    await timers.pass(0);
    expect(left()).toBe(true);
  });

  test("and ends after the whole time where nobody takes that seat over", async () => {
    const { timers, drain, left } = leaving(false);
    drain.sawTick(true, 7);
    await timers.pass(2000);
    await timers.pass(23_000);
    expect(left()).toBe(false);
  });

  test("waits for the seat that the newest view gives it, though no tick is sealed with that yet", async () => {
    const { timers, drain, left } = leaving(false, async () => 7);
    await timers.pass(2000);
    drain.sawTick(false, 6);
    await timers.pass(3000);
    expect(left(), "a tick of the view before says nothing").toBeNull();
    drain.sawTick(true, 7);
    await timers.pass(0);
    expect(left()).toBeNull();
    drain.sawTick(false, 8);
    await timers.pass(0);
    expect(left()).toBe(true);
  });

  test("or that a younger view has taken away before any tick", async () => {
    const { timers, drain, left } = leaving(false, async () => 7);
    await timers.pass(2000);
    drain.sawTick(false, 8);
    await timers.pass(0);
    expect(left()).toBe(true);
  });

  test("ends where Postgres can't say", async () => {
    const { timers, left } = leaving(false, () => Promise.reject(new Error("away")));
    await timers.pass(2000);
    await timers.pass(0);
    expect(left()).toBe(true);
  });
});
