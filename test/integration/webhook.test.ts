import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
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

function message(options: { secret?: string; ageMs?: number; signedBody?: string; id?: string } = {}) {
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
  // Another message with the same content has nothing to publish; it replaces what a webhook scheduled.
  expect((await other.webhook(CONFIG, message())).body).toEqual({ result: "unchanged", entry: null });
  const rotated = await other.webhook({ ...CONFIG, increment: 3 }, message({ secret: PREVIOUS }));
  expect(rotated).toMatchObject({
    status: 200,
    body: { result: "published", entry: { version: 3, createdBy: "webhook", config: { increment: 3 } } },
  });
  const { rows } = await fleet.client.query("SELECT id FROM webhook_deliveries");
  expect(rows).toHaveLength(3);
});

test("what isn't signed right, is too old or is a bad config changes nothing, and says exactly why", async () => {
  const unsigned = await api.send("POST", "/v1/webhooks/config", CONFIG, { authorization: "" });
  expect(unsigned).toMatchObject({ status: 401, body: { code: "webhook_headers_missing" } });
  const tampered = message({ signedBody: JSON.stringify(CONFIG) });
  expect(await api.webhook({ ...CONFIG, increment: 999 }, tampered)).toMatchObject({
    status: 401,
    body: {
      code: "webhook_signature_invalid",
      detail: "webhook-signature is not that of this id, timestamp and body under the secret set here",
    },
  });
  const foreign = `whsec_${randomBytes(32).toString("base64")}`;
  expect(await api.webhook(CONFIG, message({ secret: foreign }))).toMatchObject({
    status: 401,
    body: { code: "webhook_signature_invalid" },
  });
  for (const [ageMs, words] of [
    [70_000, /^webhook-timestamp is 7[01] s ago: it must be within 60 s of now$/],
    [600_000, /^webhook-timestamp is 60[01] s ago: it must be within 60 s of now$/],
    [-70_000, /^webhook-timestamp is (69|70) s ahead: it must be within 60 s of now$/],
  ] as const) {
    const { status, body } = await api.webhook(CONFIG, message({ ageMs }));
    expect([status, body.code]).toEqual([401, "webhook_timestamp_refused"]);
    expect(body.detail).toMatch(words);
  }
  expect((await api.webhook(CONFIG, message({ ageMs: 50_000 }))).status).toBe(200);
  const before = await rules();

  expect(await api.webhook({ ...CONFIG, tickMs: 5 }, message())).toMatchObject({
    status: 422,
    body: { code: "invalid_config", problems: ["tickMs: 5 must be a whole number from 100 to 3600000"] },
  });
  expect(await api.webhook([CONFIG], message())).toMatchObject({
    status: 422,
    body: { code: "invalid_config" },
  });
  expect(await api.webhook('{"tickMs": NaN}', message())).toMatchObject({
    status: 400,
    body: { code: "body_not_json" },
  });
  expect(await api.webhook(`"${"x".repeat(2e6)}"`, message())).toMatchObject({
    status: 413,
    body: { code: "body_too_large" },
  });
  expect(await rules()).toEqual(before);
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

test.each<[string, RequestListener, string, RegExp]>([
  ["slow", () => undefined, "config_source_timeout", /within the time limit$/],
  [
    "slow to end",
    (_request, response) => void response.writeHead(200).write("{"),
    "config_source_timeout",
    /within the time limit$/,
  ],
  [
    "huge",
    (_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, " ")));
      };
      response.on("drain", more);
      more();
    },
    "config_source_too_large",
    /^CONFIG_SOURCE_URL sends more than 65536 bytes$/,
  ],
  [
    "redirecting",
    (_request, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "config_source_redirected",
    /answered 302: redirects are not followed/,
  ],
  [
    "not JSON",
    (_request, response) => response.writeHead(200).end("<html>"),
    "config_source_not_json",
    /does not give JSON/,
  ],
  [
    "failing",
    (_request, response) => response.writeHead(500).end(),
    "config_source_status",
    /answered 500, not 200$/,
  ],
  [
    "breaking off",
    (_request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("{");
      setTimeout(() => response.destroy(), 50);
    },
    "config_source_unreachable",
    /can't be read: aborted$/,
  ],
])("a source that is %s: 502, and the old config stays", async (_name, listener, code, detail) => {
  serve = listener;
  const sent = message();
  const before = await rules();
  const answer = await api.webhook({}, sent);
  expect([answer.status, answer.body.code]).toEqual([502, code]);
  expect(answer.body.detail).toMatch(detail);
  expect(await rules()).toEqual(before);
  // Nothing was taken: the sender's next attempt counts.
  serve = (_request, response) => response.writeHead(200).end(JSON.stringify(CONFIG));
  expect((await api.webhook({}, sent)).body["result"]).toBe("published");
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
