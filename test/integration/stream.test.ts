import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { EventStream } from "../harness/event-stream.js";
import { Fleet, type FleetProcess } from "../harness/fleet.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
let fleet: Fleet;
let control: FleetProcess;
let api: ConfigApi;

beforeAll(async () => {
  stores = await startTestStores();
  fleet = new Fleet({
    databaseUrl: await prepareDatabase(stores, { rows: 5 }),
    redisUrl: stores.redisUrl,
    env: { API_TOKEN: TOKEN },
  });
  await fleet.client.connect();
  control = fleet.controlPlane("control-1");
  api = new ConfigApi(await control.url());
  fleet.worker("worker-1");
  await fleet.untilSeated(["worker-1"]);
});
afterAll(async () => {
  await fleet.close();
  await stores.close();
});

const heard = (stream: EventStream, events: string[]) =>
  expect.poll(() => stream.heard, { timeout: 5000 }).toEqual(events);

test("a stream begins with what is in force, goes on with what is new, and resumes behind the last id", async () => {
  const ring = (await fleet.ringVersions()).length;
  const stream = await EventStream.open(api.base);
  expect(stream.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(stream.response.headers.get("cache-control")).toBe("no-cache, no-transform");
  expect(stream.response.headers.get("x-accel-buffering")).toBe("no");
  await heard(stream, [`ring ${ring}`, "config 1"]);
  const sentAt = Date.now();
  await api.put({ config: { ...DEFAULT_CONFIG, increment: 2 }, activatesInMs: 600_000 });
  await heard(stream, [`ring ${ring}`, "config 1", "config 2"]);
  // Far sooner than the stream's own look: a hint woke it.
  expect(Date.now() - sentAt).toBeLessThan(500);
  expect(stream.events.at(-1)?.data).toMatchObject({ config: { increment: 2 }, createdBy: "api" });
  stream.close();

  await api.put({ config: { ...DEFAULT_CONFIG, increment: 3 }, activatesInMs: 700_000 });
  fleet.worker("worker-2");
  await fleet.untilSeated(["worker-1", "worker-2"]);
  const resumed = await EventStream.open(api.base, stream.events.at(-1)?.id);
  await heard(resumed, [`ring ${ring + 1}`, "config 3"]);
  expect(resumed.events[0]?.data["seats"]).toHaveLength(2);
  // An id that this database never gave begins anew: the ring, the config in force, the two that are pending.
  const strange = await EventStream.open(api.base, "r900.c900");
  await heard(strange, [`ring ${ring + 1}`, "config 1", "config 2", "config 3"]);
  for (const open of [resumed, strange]) open.close();
});

test("HEAD is answered at once, and takes no client's place", async () => {
  const head = { method: "HEAD", signal: AbortSignal.timeout(3000) };
  const { status, headers } = await fetch(new URL("/v1/stream", api.base), head);
  expect([status, headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
});

test("a hundred clients are served, the next is told to come later; all end in order when the replica stops", async () => {
  const streams = await Promise.all(Array.from({ length: 100 }, () => EventStream.open(api.base)));
  const refused = await api.get("/v1/stream");
  expect(refused).toMatchObject({ status: 503, body: { code: "stream_full" } });
  expect(refused.headers.get("retry-after")).toBe("5");
  streams[0]?.close();
  await expect
    .poll(async () => (await EventStream.open(api.base)).response.status, { timeout: 3000 })
    .toBe(200);
  control.signal("SIGTERM");
  await Promise.all(streams.slice(1).map((stream) => stream.ended));
  expect(await control.exited).toMatchObject({ code: 0 });
});
