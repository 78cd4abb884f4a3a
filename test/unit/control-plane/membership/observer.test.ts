import { expect, test } from "vitest";
import type { Reading } from "../../../../control-plane/membership/membership.js";
import { Observer } from "../../../../control-plane/membership/observer.js";
import type { WorkerHash } from "../../../../control-plane/membership/worker-hash.js";
import { createLogger } from "../../../../core/log.js";
import { FLEET, sampleBeat, sampleReading } from "./sample-member.js";

function observing(read: () => Promise<Reading>, monotonicNow: () => number): Observer {
  return new Observer({
    hash: { connecting: false, read } as unknown as WorkerHash,
    fleet: FLEET,
    settings: { heartbeatMs: 500, deadAfterMs: 1500 },
    seated: () => [],
    monotonicNow,
    log: createLogger("silent", {}),
    onLook: () => undefined,
  });
}

test("a look is as old as its question, so that a leader paused in between doesn't judge by it", async () => {
  let now = 1000;
  const observer = observing(
    () => {
      now += 2000;
      return Promise.resolve(sampleReading([sampleBeat({ beat: 1 })]));
    },
    () => now,
  );
  await observer.step();
  expect(observer.sees(now)).toBe(false);
  expect(observer.membership.get(1)).toMatchObject({ beatAt: 1000 });
});

test("who beat before a gap in our view counts only after two beats behind it", async () => {
  const readings = [
    sampleReading([sampleBeat({ beat: 1 })]),
    sampleReading([sampleBeat({ beat: 2 })]),
    sampleReading([], { epoch: 2 }),
    sampleReading([sampleBeat({ beat: 3 })], { epoch: 2 }),
  ];
  let now = 0;
  const observer = observing(
    () => Promise.resolve(readings.shift() ?? sampleReading([])),
    () => (now += 250),
  );
  const beats: (number | undefined)[] = [];
  while (readings.length > 0) {
    await observer.step();
    beats.push(observer.membership.get(1)?.beats);
  }
  expect(beats).toEqual([1, 2, 0, 1]);
});
