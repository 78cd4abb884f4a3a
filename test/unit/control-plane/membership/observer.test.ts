import { expect, test } from "vitest";
import type { Reading } from "../../../../control-plane/membership/membership.js";
import { Observer } from "../../../../control-plane/membership/observer.js";
import type { WorkerHash } from "../../../../control-plane/membership/worker-hash.js";
import { createLogger } from "../../../../core/log.js";
import { FLEET, sampleBeat, sampleReading } from "./sample-member.js";

function observing(
  read: () => Promise<Reading>,
  monotonicNow: () => number,
  seated: readonly number[] = [],
): Observer {
  return new Observer({
    hash: { connecting: false, read } as unknown as WorkerHash,
    fleet: FLEET,
    settings: { heartbeatMs: 500, deadAfterMs: 1500 },
    seated: () => seated,
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

/** Incarnations that are known after each of these looks, 250 ms apart, while `seated` sit. */
async function knownAfter(looks: readonly Reading[], seated: readonly number[] = []): Promise<number[][]> {
  const readings = [...looks];
  let now = 0;
  const observer = observing(
    () => Promise.resolve(readings.shift() ?? sampleReading([])),
    () => (now += 250),
    seated,
  );
  const known: number[][] = [];
  while (readings.length > 0) {
    await observer.step();
    known.push(observer.membership.all().map((member) => member.incarnation));
  }
  return known;
}

test("who left in order is forgotten with its field, and not called silent for a minute", async () => {
  const leaving = sampleReading([sampleBeat({ incarnation: 7, state: "leaving" })]);
  expect(await knownAfter([leaving, sampleReading([])])).toEqual([[7], []]);
  // While it has a seat it may still work, whatever became of its field.
  expect(await knownAfter([leaving, sampleReading([])], [7])).toEqual([[7], [7]]);
});

test("who died stays known, until a later process of its name beats", async () => {
  const first = sampleReading([sampleBeat({ incarnation: 7, name: "worker-1" })]);
  const later = sampleReading([sampleBeat({ incarnation: 8, name: "worker-1" })]);
  expect(await knownAfter([first, sampleReading([]), later])).toEqual([[7], [7], [8]]);
  expect(await knownAfter([first, later], [7])).toEqual([[7], [7, 8]]);
});
