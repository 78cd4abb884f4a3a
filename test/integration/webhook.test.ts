import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { Fleet } from "../harness/fleet.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const PREVIOUS = `whsec_${randomBytes(32).toString("base64")}`;
const CONFIG = { ...DEFAULT_CONFIG, increment: 2 };

let stores: TestStores;
let source: Server;
let serve: RequestListener;
let fleet: Fleet;
let api: ConfigApi;
let other: ConfigApi;
let messages = 0;

beforeAll(async () => {
  stores = await startTestStores();
  source = createServer((request, response) => serve(request, response)).listen(0, "127.0.0.1");
  await once(source, "listening");
});
afterAll(async () => {
  source.closeAllConnections();
  source.close();
  await stores.close();
});

beforeEach(async () => {
  serve = (_request, response) => response.writeHead(500).end();
  const databaseUrl = await prepareDatabase(stores);
  fleet = new Fleet({
    databaseUrl,
    redisUrl: stores.redisUrl,
    env: {
      API_TOKEN: TOKEN,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_SECRET_PREVIOUS: PREVIOUS,
      CONFIG_SOURCE_URL: `http://127.0.0.1:${(source.address() as AddressInfo).port}/config.json`,
      CONFIG_SOURCE_TOKEN: "token-of-the-source",
    },
  });
  await fleet.client.connect();
  const replicas = [fleet.controlPlane("control-1"), fleet.controlPlane("control-2")];
  [api, other] = (await Promise.all(
    replicas.map(async (replica) => {
      const base = await replica.url();
      await expect.poll(async () => (await fetch(`${base}/readyz`)).status, { timeout: 10_000 }).toBe(200);
      return new ConfigApi(base);
    }),
  )) as [ConfigApi, ConfigApi];
});
afterEach(() => fleet.close());

function message(options: { secret?: string; ageMs?: number } = {}) {
  messages += 1;
  return { id: `msg_${messages}`, secret: SECRET, ...options };
}

const rules = async () => {
  const { body } = await api.get("/v1/config");
  const upcoming = body["upcoming"] as { config: object; createdBy: string }[];
  return upcoming.at(-1)?.config ?? (body["current"] as { config: object }).config;
};

test("the body is the config: published once, whichever replica hears it how often, with either secret", async () => {
  const first = message();
  const answers = await Promise.all(
    [api, other, api, other].map((replica) => replica.webhook(CONFIG, first)),
  );
  expect(answers.map(({ status, body }) => [status, body["result"]]).sort()).toEqual([
    [200, "published"],
    [200, "replayed"],
    [200, "replayed"],
    [200, "replayed"],
  ]);
  expect(await rules()).toEqual(CONFIG);
  const again = await other.webhook({ ...CONFIG, increment: 3 }, first);
  expect(again).toMatchObject({ status: 200, body: { result: "replayed", entry: null } });
  expect(await rules()).toEqual(CONFIG);
  // Another message with the same content has nothing to publish, also one as old as the window allows.
  const old = message({ ageMs: 50_000 });
  expect((await other.webhook(CONFIG, old)).body).toEqual({ result: "unchanged", entry: null });
  // A later message replaces what a webhook scheduled.
  const rotated = await other.webhook({ ...CONFIG, increment: 3 }, message({ secret: PREVIOUS }));
  expect(rotated).toMatchObject({
    status: 200,
    body: { result: "published", entry: { version: 3, createdBy: "webhook", config: { increment: 3 } } },
  });
  const { rows } = await fleet.client.query("SELECT id FROM webhook_deliveries");
  expect(rows).toHaveLength(3);
});

test("a row that somebody has changed by hand isn't what rules: the same config, sent again, is published", async () => {
  await api.webhook(CONFIG, message());
  await fleet.client.query(
    `UPDATE versions SET body = body || '{"increment": 666}' WHERE kind = 'config' AND version = 2`,
  );
  expect((await api.webhook(CONFIG, message())).body).toMatchObject({
    result: "published",
    entry: { version: 3, config: CONFIG },
  });
  expect((await api.webhook(CONFIG, message())).body["result"]).toBe("unchanged");
});

test("a pending version of an operator stands in the way of a webhook: 409 until it is active or cancelled", async () => {
  const scheduled = { config: { ...CONFIG, increment: 7 }, activatesInMs: 600_000 };
  expect((await api.put(scheduled)).status).toBe(200);
  const waiting = message();
  expect(await api.webhook(CONFIG, waiting)).toMatchObject({
    status: 409,
    body: { code: "config_pending", pending: 2 },
  });
  expect((await api.send("DELETE", "/v1/config/2")).status).toBe(200);
  expect(await api.webhook(CONFIG, waiting)).toMatchObject({ status: 200, body: { result: "published" } });
});

test("the body only says that something changed: the config is fetched, and published where it differs", async () => {
  const asked: (string | undefined)[] = [];
  let content: unknown = CONFIG;
  serve = (request, response) => {
    asked.push(request.headers["if-none-match"]);
    expect(request.headers.authorization).toBe("Bearer token-of-the-source");
    const etag = `"${JSON.stringify(content).length}"`;
    if (request.headers["if-none-match"] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag }).end(JSON.stringify(content));
  };
  const push = { ref: "refs/heads/main", repository: { full_name: "fleet/config" } };
  expect(await api.webhook(push, message())).toMatchObject({
    status: 200,
    body: { result: "published", entry: { config: { increment: 2 } } },
  });
  expect((await api.webhook("", message())).body).toEqual({ result: "unchanged", entry: null });
  expect(asked).toEqual([undefined, expect.any(String)]);
  content = { ...CONFIG, increment: 33 };
  expect((await api.webhook({}, message())).body["result"]).toBe("published");
  content = { ...CONFIG, increment: "many" };
  expect(await api.webhook({}, message())).toMatchObject({ status: 422, body: { code: "invalid_config" } });
  expect(await rules()).toMatchObject({ increment: 33 });
});

test("what was fetched before another message found the source unchanged isn't published", async () => {
  const slow: ServerResponse[] = [];
  serve = (_request, response) => void slow.push(response);
  const first = api.webhook({}, message());
  await expect.poll(() => slow.length).toBe(1);
  serve = (_request, response) => void response.end(JSON.stringify(DEFAULT_CONFIG));
  expect((await other.webhook({}, message())).body["result"]).toBe("unchanged");
  slow[0]?.end(JSON.stringify(CONFIG));
  expect((await first).body["result"]).toBe("unchanged");
  expect(await rules()).toMatchObject({ increment: 1 });
});

test("without a secret the route says so; without a source a message without config is refused", async () => {
  const off = new ConfigApi(
    await fleet.controlPlane("control-3", { WEBHOOK_SECRET: "", WEBHOOK_SECRET_PREVIOUS: "" }).url(),
  );
  expect(await off.webhook(CONFIG, message())).toMatchObject({
    status: 503,
    body: { code: "webhook_not_configured" },
  });
  const bare = await fleet.controlPlane("control-4", { CONFIG_SOURCE_URL: "" }).url();
  await expect.poll(async () => (await fetch(`${bare}/readyz`)).status, { timeout: 10_000 }).toBe(200);
  expect(await new ConfigApi(bare).webhook({}, message())).toMatchObject({
    status: 422,
    body: { code: "config_source_missing" },
  });
});
