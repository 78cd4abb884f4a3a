import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { controlPlaneRouters } from "../../control-plane/routers.js";
import { createApp, listen } from "../../core/http/server.js";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { ConfigApi, TOKEN } from "../harness/config-api.js";
import { Fleet } from "../harness/fleet.js";
import { prepareDatabase } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

interface ApiDocument {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, { content: Record<string, unknown> }> }>>;
}

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";

let stores: TestStores;
let fleet: Fleet;
let api: ConfigApi;
let document: ApiDocument;
let ajv: Ajv2020;
let item: string;

beforeAll(async () => {
  stores = await startTestStores();
  const env = { API_TOKEN: TOKEN, WEBHOOK_SECRET: SECRET };
  fleet = new Fleet({
    databaseUrl: await prepareDatabase(stores, { rows: 10 }),
    redisUrl: stores.redisUrl,
    env,
  });
  await fleet.client.connect();
  const control = fleet.controlPlane("control-1");
  fleet.workers(2);
  await fleet.untilSeated(["worker-1", "worker-2"]);
  api = new ConfigApi(await control.url());
  const { rows } = await fleet.client.query<{ id: string }>("SELECT id FROM work_items LIMIT 1");
  item = rows[0]?.id ?? "";
  document = (await api.get("/v1/openapi.json")).body as unknown as ApiDocument;
  ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema(document, "api");
});
afterAll(async () => {
  await fleet.close();
  await stores.close();
});

/** METHOD /path of every route that express has, however deep. */
function routesOf(stack: readonly Layer[]): string[] {
  return stack.flatMap(({ route, handle }) => {
    if (route === undefined) return handle?.stack === undefined ? [] : routesOf(handle.stack);
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    return Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${path}`);
  });
}

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );

test("the document has every route of the router, and no other", () => {
  const routers = controlPlaneRouters({
    settings: { apiToken: null, webhookSecret: null, webhookSecretPrevious: null },
    registry: new Registry(),
    plane: () => null,
    obstacle: () => "Postgres",
  });
  const routes = routers.flatMap((router) => routesOf((router as unknown as { stack: Layer[] }).stack));
  expect(routes.length).toBeGreaterThan(12);
  expect(operations().sort()).toEqual(routes.sort());
  expect(document.openapi).toBe("3.1.0");
});

const CONFIG = { ...DEFAULT_CONFIG, increment: 2 };
type Call = [operation: string, status: number, request: () => Promise<Response>];

const ask = (path: string, method = "GET", body?: unknown, token = TOKEN) =>
  fetch(new URL(path, api.base), {
    method,
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** At least one for each operation, in this order. */
const CALLS: Call[] = [
  ["GET /livez", 200, () => ask("/livez")],
  ["GET /readyz", 200, () => ask("/readyz")],
  ["GET /metrics", 200, () => ask("/metrics")],
  ["GET /v1/openapi.json", 200, () => ask("/v1/openapi.json")],
  ["GET /v1/workers", 200, () => ask("/v1/workers")],
  ["GET /v1/leader", 200, () => ask("/v1/leader")],
  ["GET /v1/ring", 200, () => ask("/v1/ring")],
  ["POST /v1/ring/preview", 200, () => ask("/v1/ring/preview", "POST", { workers: 4 })],
  ["POST /v1/ring/preview", 422, () => ask("/v1/ring/preview", "POST", { workers: -4 })],
  ["GET /v1/items/{id}/owner", 200, () => ask(`/v1/items/${item}/owner`)],
  ["GET /v1/items/{id}/owner", 404, () => ask("/v1/items/none/owner")],
  ["PUT /v1/config", 200, () => ask("/v1/config", "PUT", { config: CONFIG, activatesInMs: 600_000 })],
  ["PUT /v1/config", 400, () => ask("/v1/config", "PUT", [])],
  ["PUT /v1/config", 401, () => ask("/v1/config", "PUT", { config: CONFIG }, "no")],
  ["PUT /v1/config", 409, () => ask("/v1/config", "PUT", { config: CONFIG })],
  ["PUT /v1/config", 422, () => ask("/v1/config", "PUT", { config: {} })],
  ["GET /v1/config", 200, () => ask("/v1/config")],
  ["GET /v1/config/history", 200, () => ask("/v1/config/history?limit=1")],
  ["GET /v1/config/history", 400, () => ask("/v1/config/history?limit=0")],
  ["GET /v1/config/{version}", 200, () => ask("/v1/config/1")],
  ["GET /v1/config/{version}", 404, () => ask("/v1/config/99")],
  ["DELETE /v1/config/{version}", 200, () => ask("/v1/config/2", "DELETE")],
  ["DELETE /v1/config/{version}", 409, () => ask("/v1/config/1", "DELETE")],
  ["GET /v1/stream", 200, () => ask("/v1/stream")],
  ["POST /v1/webhooks/config", 401, () => ask("/v1/webhooks/config", "POST", CONFIG)],
];

describe("real answers are as the document says", () => {
  test.each(CALLS)("%s: %i", async (operation, status, request) => {
    const response = await request();
    expect(response.status).toBe(status);
    const [method = "", path = ""] = operation.split(" ");
    const documented = document.paths[path]?.[method.toLowerCase()]?.responses[String(status)];
    const type = response.headers.get("content-type")?.split(";")[0] ?? "";
    expect(Object.keys(documented?.content ?? {})).toEqual([type]);
    if (!type.includes("json")) {
      await response.body?.cancel();
      return;
    }
    const validate = schemaOf(path, method.toLowerCase(), status, type);
    validate(await response.json());
    expect(validate.errors ?? []).toEqual([]);
  });
  test("every operation is asked", () => {
    expect([...new Set(CALLS.map(([operation]) => operation))].sort()).toEqual(operations().sort());
  });
});

test("what every operation answers while its replica still waits for Postgres stands in the document", async () => {
  const routers = controlPlaneRouters({
    settings: { apiToken: null, webhookSecret: SECRET, webhookSecretPrevious: null },
    registry: new Registry(),
    plane: () => null,
    obstacle: () => "Postgres",
  });
  const server = await listen(createApp(routers, pino({ level: "silent" })), "127.0.0.1", 0);
  const answer = async (method: string, path: string): Promise<number> => {
    if (path === "/v1/webhooks/config") {
      return (await new ConfigApi(server.url).webhook(CONFIG, { id: "msg_1", secret: SECRET })).status;
    }
    const url = new URL(path.replaceAll(/\{\w+\}/g, "1"), server.url);
    return (await fetch(url, { method, ...(method === "GET" ? {} : BODIES[path]) })).status;
  };
  try {
    for (const operation of operations()) {
      const [method = "", path = ""] = operation.split(" ");
      const status = await answer(method, path);
      const documented = Object.keys(document.paths[path]?.[method.toLowerCase()]?.responses ?? {});
      expect(documented, `${operation} answers ${status}`).toContain(String(status));
      if (!["/livez", "/metrics", "/v1/openapi.json"].includes(path)) expect(status, operation).toBe(503);
    }
  } finally {
    await server.stop();
  }
});

const JSON_TYPE = { "content-type": "application/json" };
const BODIES: Record<string, RequestInit> = {
  "/v1/config": { headers: JSON_TYPE, body: JSON.stringify({ config: CONFIG }) },
  "/v1/ring/preview": { headers: JSON_TYPE, body: JSON.stringify({ workers: 1 }) },
};

function schemaOf(path: string, method: string, status: number, type: string): ValidateFunction {
  const pointer = ["paths", path, method, "responses", String(status), "content", type, "schema"]
    .map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")))
    .join("/");
  const validate = ajv.getSchema(`api#/${pointer}`);
  if (validate === undefined) throw new Error(`no schema at ${pointer}`);
  return validate;
}
