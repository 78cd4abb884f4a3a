import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../../core/versions/config.js";
import type { ConfigApi } from "../../harness/config-api.js";
import { ConfigPlane, type Refusal, refusal } from "../../harness/config-plane.js";

const newSecret = () => `whsec_${randomBytes(32).toString("base64")}`;
const SECRET = newSecret();
const CONFIG = { ...DEFAULT_CONFIG, increment: 2 };

let plane: ConfigPlane;
let source: Server;
let serve: RequestListener = (_request, response) => response.writeHead(500).end();
let messages = 0;

beforeAll(async () => {
  source = createServer((request, response) => serve(request, response)).listen(0, "127.0.0.1");
  await once(source, "listening");
  plane = await ConfigPlane.start({
    WEBHOOK_SECRET: SECRET,
    CONFIG_SOURCE_URL: `http://127.0.0.1:${(source.address() as AddressInfo).port}/config.json`,
  });
});
afterAll(async () => {
  source.closeAllConnections();
  source.close();
  await plane.close();
});

type Message = Parameters<ConfigApi["webhook"]>[1];

function message(options: Partial<Message> = {}): Message {
  messages += 1;
  return { id: `msg_${messages}`, secret: SECRET, ...options };
}

const unauthorized = (code: string, detail: unknown): Refusal => ({
  status: 401,
  title: "Unauthorized",
  code: `webhook_${code}`,
  detail,
});
const badSignature = unauthorized(
  "signature_invalid",
  "webhook-signature is not that of this id, timestamp and body under the secret set here",
);
const wrongTime = (told: string) =>
  unauthorized(
    "timestamp_refused",
    expect.stringMatching(`^webhook-timestamp is ${told}: it must be within 60 s of now$`),
  );
const badHeaders = unauthorized(
  "headers_invalid",
  "webhook-id must be 1 to 200 visible ASCII characters, webhook-timestamp a number of seconds",
);
const failed = (what: string, detail: unknown): Refusal => ({
  status: 502,
  title: "Config source failed",
  code: `config_source_${what}`,
  detail,
});
const invalid = (...problems: string[]) => refusal("invalid_config", ...problems);
const notJson: Refusal = {
  status: 400,
  title: "Bad request",
  code: "body_not_json",
  detail: expect.stringMatching(/^the body is not JSON: Unexpected token/),
};
const tooLarge: Refusal = {
  status: 413,
  title: "Payload Too Large",
  code: "body_too_large",
  detail: "the body is larger than the 65536 bytes that are taken here",
};
/** As text, since an object would lose what it says. */
const withCustom = (json: string) => `${JSON.stringify(CONFIG).slice(0, -1)}, "custom": ${json}}`;
const deep = withCustom(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`);
const tooDeep = invalid(`custom${".a".repeat(15)}: is nested deeper than 16 levels`);
const tickMs = (value: string) => invalid(`tickMs: ${value} must be a whole number from 100 to 3600000`);

describe("a message that isn't what its sender signed, or isn't of now", () => {
  test.each<[what: string, body: unknown, message: () => Message, refused: Refusal]>([
    [
      "tampered with",
      { ...CONFIG, increment: 999 },
      () => message({ signedBody: JSON.stringify(CONFIG) }),
      badSignature,
    ],
    ["signed with another secret", CONFIG, () => message({ secret: newSecret() }), badSignature],
    ["signed for another id", CONFIG, () => message({ signedId: "msg_other" }), badSignature],
    ["70 s old", CONFIG, () => message({ ageMs: 70_000 }), wrongTime("7[01] s ago")],
    ["ten minutes old", CONFIG, () => message({ ageMs: 600_000 }), wrongTime("60[01] s ago")],
    ["70 s ahead", CONFIG, () => message({ ageMs: -70_000 }), wrongTime("(69|70) s ahead")],
    ["of a long id", CONFIG, () => message({ id: "m".repeat(201) }), badHeaders],
  ])("%s", async (_what, body, sent, refused) => {
    const message = sent();
    await plane.expectRefused(() => plane.api.webhook(body, message), refused);
  });

  test("compressed", async () => {
    const headers = { "content-encoding": "gzip" };
    await plane.expectRefused(() => plane.api.send("POST", "/v1/webhooks/config", CONFIG, headers), {
      status: 415,
      title: "Unsupported Media Type",
      code: "body_encoding_unsupported",
      detail: "content encoding unsupported",
    });
  });

  test("not signed at all", async () => {
    const refused = unauthorized(
      "headers_missing",
      "the headers webhook-id, webhook-timestamp and webhook-signature must be there, as Standard Webhooks has them",
    );
    await plane.expectRefused(() => plane.api.send("POST", "/v1/webhooks/config", CONFIG), refused);
  });
});

describe("a message signed right, whose config is bad", () => {
  test.each<[what: string, body: unknown, refused: Refusal]>([
    [
      "wrong types",
      { ...CONFIG, tickMs: "1000", paused: 1 },
      invalid('tickMs: "1000" must be a whole number from 100 to 3600000', "paused: 1 must be true or false"),
    ],
    ["NaN", '{"tickMs": NaN}', notJson],
    ["negative", { ...CONFIG, tickMs: -1 }, tickMs("-1")],
    [
      "an unknown key",
      { ...CONFIG, incremnt: 3 },
      invalid("incremnt: unknown key, must be one of tickMs, increment, paused, maxRowsPerSecond, custom"),
    ],
    ["2 MB", { ...CONFIG, custom: { a: "x".repeat(2e6) } }, tooLarge],
    [
      "40 kB",
      { ...CONFIG, custom: { a: "x".repeat(40_000) } },
      invalid("config: has 40083 bytes, must have at most 32768"),
    ],
    ["deep nesting", deep, tooDeep],
    [
      "__proto__",
      withCustom('{"__proto__": {"polluted": true}}'),
      invalid("custom.__proto__: this key is not allowed"),
    ],
    [
      "NUL",
      { ...CONFIG, custom: { a: "\0" } },
      invalid("custom.a: holds a NUL or half a character (\\u0000, \\ud800), which Postgres can't store"),
    ],
    ["no object", [1, 2], invalid("config: [1,2] must be an object")],
  ])("%s", async (_what, body, refused) => {
    const sent = message();
    await plane.expectRefused(() => plane.api.webhook(body, sent), refused);
    // The id isn't used up: what the sender sends next under it counts.
    expect(await plane.api.webhook(await ruling(), sent)).toMatchObject({
      status: 200,
      body: { result: "unchanged" },
    });
  });
});

/** What rules, or is about to: to ask for it changes nothing. */
async function ruling(): Promise<object> {
  const { current, upcoming } = (await plane.api.get("/v1/config")).body as {
    current: { config: object };
    upcoming: { config: object }[];
  };
  return upcoming.at(-1)?.config ?? current.config;
}

const answering =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
const endless: RequestListener = (_request, response) => {
  response.writeHead(200);
  const more = () => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, " ")));
  };
  response.on("drain", more);
  more();
};
const breakingOff: RequestListener = (_request, response) => {
  response.writeHead(200, { "content-length": "100" }).write("{");
  setTimeout(() => response.destroy(), 50);
};
const timeout = failed("timeout", "CONFIG_SOURCE_URL did not answer within the time limit");

describe("a config source that fails", () => {
  test.each<[what: string, listener: RequestListener, refused: Refusal]>([
    ["slow", () => undefined, timeout],
    ["slow to end", (_request, response) => void response.writeHead(200).write("{"), timeout],
    ["huge", endless, failed("too_large", "CONFIG_SOURCE_URL sends more than 65536 bytes")],
    [
      "redirecting",
      answering(302, "", { location: "http://127.0.0.1:1/" }),
      failed(
        "redirected",
        "CONFIG_SOURCE_URL answered 302: redirects are not followed, set the URL that they lead to",
      ),
    ],
    [
      "not JSON",
      answering(200, "<html>"),
      failed("not_json", expect.stringMatching(/^CONFIG_SOURCE_URL does not give JSON: Unexpected token/)),
    ],
    ["failing", answering(500, ""), failed("status", "CONFIG_SOURCE_URL answered 500, not 200")],
    [
      "unchanged since never",
      answering(304, ""),
      failed("status", "CONFIG_SOURCE_URL answered 304, not 200"),
    ],
    ["breaking off", breakingOff, failed("unreachable", "CONFIG_SOURCE_URL can't be read: aborted")],
    ["giving a bad config", answering(200, JSON.stringify({ ...CONFIG, tickMs: -1 })), tickMs("-1")],
    ["giving deep nesting", answering(200, deep), tooDeep],
  ])("%s", async (_what, listener, refused) => {
    serve = listener;
    const sent = message();
    await plane.expectRefused(() => plane.api.webhook({}, sent), refused);
    // Nothing was taken: the sender's next attempt counts.
    serve = answering(200, JSON.stringify(await ruling()));
    expect(await plane.api.webhook({}, sent)).toMatchObject({ status: 200, body: { result: "unchanged" } });
  });
});

test("a replay is answered 200 and ignored, whatever it says and whichever replica hears it", async () => {
  const sent = message();
  expect(await plane.api.webhook(CONFIG, sent)).toMatchObject({ status: 200, body: { result: "published" } });
  const before = await plane.state();
  for (const api of plane.apis) {
    for (const config of [CONFIG, { ...CONFIG, increment: 3 }]) {
      const { status, body } = await api.webhook(config, sent);
      expect([status, body]).toEqual([200, { result: "replayed", entry: null }]);
    }
  }
  expect(await plane.state()).toEqual(before);
});
