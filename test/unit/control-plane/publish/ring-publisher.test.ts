import { Redis } from "ioredis";
import { pino } from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { PlannerMetrics } from "../../../../control-plane/planner/planner-metrics.js";
import { NewestVersions } from "../../../../control-plane/publish/newest-versions.js";
import { RingPublisher } from "../../../../control-plane/publish/ring-publisher.js";
import { redisKeys } from "../../../../core/redis/keys.js";
import { SLOT_COUNT } from "../../../../core/ring/slots.js";

test("a view that nobody could open is never published, whatever led to it", async () => {
  const sent: string[] = [];
  const db = {
    query: async (text: string) => {
      sent.push(text);
      return { rows: [], rowCount: 0 };
    },
  };
  const publisher = new RingPublisher({
    db,
    redis: new Redis({ lazyConnect: true }),
    keys: redisKeys(""),
    fleet: "fleet",
    replica: "control-1/1",
    newest: new NewestVersions(db),
    metrics: new PlannerMetrics(new Registry()),
    monotonicNow: () => 0,
    log: pino({ level: "silent" }),
  });
  const member = { worker: "worker-1", incarnation: 1, weight: 1, revision: "" };
  const request = { term: 1, dead: [], reason: "join", decidedAt: 0, slotRows: new Uint32Array(SLOT_COUNT) };
  for (const broken of [{ worker: "" }, { incarnation: -1 }, { weight: Number.NaN }]) {
    await expect(publisher.publish({ ...request, members: [{ ...member, ...broken }] })).rejects.toThrow();
  }
  expect(sent).toEqual([]);
});
