import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../../core/versions/config.js";
import { ConfigPlane, type Refusal, refusal } from "../../harness/config-plane.js";

const CONFIG = { ...DEFAULT_CONFIG, increment: 2 };
const ISO = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z";

let plane: ConfigPlane;
beforeAll(async () => {
  plane = await ConfigPlane.start();
});
afterAll(() => plane.close());

const invalid = (...problems: string[]) => refusal("invalid_config", ...problems);
const bad = (...problems: string[]) => refusal("bad_request", ...problems);
const untold = (detail: string): Refusal => ({
  status: 400,
  title: "Bad request",
  code: "bad_request",
  detail,
});
const notJson = (reason: string): Refusal => ({
  status: 400,
  title: "Bad Request",
  code: "body_not_json",
  detail: expect.stringMatching(`^the body is not JSON: ${reason}`),
});
const tooLarge = {
  status: 413,
  title: "Payload Too Large",
  code: "body_too_large",
  detail: "the body is larger than the 65536 bytes that are taken here",
};
const tooSoon = (wanted: string): Refusal => ({
  status: 422,
  title: "Activation too soon",
  code: "activation_too_soon",
  earliest: expect.stringMatching(`^${ISO}$`),
  detail: expect.stringMatching(
    `^activation at ${wanted} is past, or too near for every worker to know: the earliest is ${ISO}$`,
  ),
});

/** A change whose config has these values instead. */
const config = (values: object) => ({ config: { ...CONFIG, ...values } });
const change = (values: object) => ({ config: CONFIG, ...values });
/** Texts, since what they say is lost in objects. */
const text = (json: string) => `{"config": ${JSON.stringify(CONFIG).slice(0, -1)}, ${json}}}`;
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

const TICK = "a whole number from 100 to 3600000";
const INCREMENT = "a whole number from -1000000 to 1000000";
const RATE = "a whole number from 0 to 10000000";
const KEYS = "tickMs, increment, paused, maxRowsPerSecond, custom";
const CHANGE_KEYS = "config, activatesAt, activatesInMs, replace, reason, by";
const TIME = "an ISO time with its zone, before the year 9999, like 2026-11-21T12:00:00Z";
const UNSTORABLE = "holds a NUL or half a character (\\u0000, \\ud800), which Postgres can't store";

const PUTS: [what: string, body: unknown, refused: Refusal][] = [
  [
    "wrong types",
    config({ tickMs: "1000", increment: [1], paused: 1, maxRowsPerSecond: null, custom: "eu" }),
    invalid(
      `tickMs: "1000" must be ${TICK}`,
      `increment: [1] must be ${INCREMENT}`,
      "paused: 1 must be true or false",
      `maxRowsPerSecond: null must be ${RATE}`,
      'custom: "eu" must be an object of JSON values',
    ),
  ],
  ["NaN", '{"config": {"tickMs": NaN}}', notJson("Unexpected token")],
  ["infinite", text('"tickMs": 1e999'), invalid(`tickMs: Infinity must be ${TICK}`)],
  [
    "infinite, in custom",
    text('"custom": {"a": [1e999]}'),
    invalid("custom.a.0: Infinity must be a number up to ±1.7976931348623157e+308"),
  ],
  [
    "negative",
    config({ tickMs: -1000, maxRowsPerSecond: -1, increment: -1_000_001 }),
    invalid(
      `tickMs: -1000 must be ${TICK}`,
      `increment: -1000001 must be ${INCREMENT}`,
      `maxRowsPerSecond: -1 must be ${RATE}`,
    ),
  ],
  ["a fraction", config({ tickMs: 1000.5 }), invalid(`tickMs: 1000.5 must be ${TICK}`)],
  ["beyond the range", config({ tickMs: 99 }), invalid(`tickMs: 99 must be ${TICK}`)],
  ["an unknown key", config({ incremnt: 3 }), invalid(`incremnt: unknown key, must be one of ${KEYS}`)],
  [
    "thirty unknown keys",
    config(Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`k${index + 1}`, 1]))),
    invalid(
      ...Array.from({ length: 20 }, (_, index) => `k${index + 1}: unknown key, must be one of ${KEYS}`),
      "and 10 more",
    ),
  ],
  [
    "a part of a config",
    { config: { tickMs: 1000, increment: 1, paused: false } },
    invalid(
      `maxRowsPerSecond: (missing) must be ${RATE}`,
      "custom: (missing) must be an object of JSON values",
    ),
  ],
  [
    "no object",
    { config: [CONFIG] },
    invalid('config: [{"tickMs":1000,"increment":2,"paused":false,"maxRowsPerSec… must be an object'),
  ],
  ["2 MB", config({ custom: { a: "x".repeat(2e6) } }), tooLarge],
  [
    "40 kB",
    config({ custom: { a: "x".repeat(40_000) } }),
    invalid("config: has 40083 bytes, must have at most 32768"),
  ],
  [
    "nested 5,000 deep",
    text(`"custom": ${nested(5000)}`),
    invalid(`custom${".a".repeat(15)}: is nested deeper than 16 levels`),
  ],
  [
    "nested 30,000 deep, no object",
    "[".repeat(30_000) + "]".repeat(30_000),
    bad("body: [[[[…]]]] must be an object"),
  ],
  ["__proto__", text('"__proto__": {"increment": 5}'), invalid("__proto__: this key is not allowed")],
  [
    "__proto__ in custom",
    text('"custom": {"a": {"__proto__": {"polluted": true}}}'),
    invalid("custom.a.__proto__: this key is not allowed"),
  ],
  [
    "__proto__ beside the config",
    `{"config": ${JSON.stringify(CONFIG)}, "__proto__": {"replace": true}}`,
    bad(`__proto__: unknown key, must be one of ${CHANGE_KEYS}`),
  ],
  ["NUL in a value", config({ custom: { a: { b: "x\0y" } } }), invalid(`custom.a.b: ${UNSTORABLE}`)],
  ["NUL in a key", config({ custom: { "a\0": 1 } }), invalid(`custom.a\0: ${UNSTORABLE}`)],
  ["half a character", text('"custom": {"a": "\\ud800"}'), invalid(`custom.a: ${UNSTORABLE}`)],
  [
    "NUL in the reason",
    change({ reason: "a\0" }),
    bad('reason: "a\\u0000" must be a text of at most 500 characters, without control characters'),
  ],
  [
    "escapes in the name",
    change({ by: "\u001b[2J" }),
    bad('by: "\\u001b[2J" must be a text of at most 100 characters, without control characters'),
  ],
  ["past", change({ activatesAt: "2020-01-01T00:00:00Z" }), tooSoon("2020-01-01T00:00:00.000Z")],
  ["at once", change({ activatesInMs: 0 }), tooSoon(ISO)],
  ["a time in words", change({ activatesAt: "tomorrow" }), bad(`activatesAt: "tomorrow" must be ${TIME}`)],
  [
    "a time without zone",
    change({ activatesAt: "2030-01-01T00:00:00" }),
    bad(`activatesAt: "2030-01-01T00:00:00" must be ${TIME}`),
  ],
  [
    "a day that isn't",
    change({ activatesAt: "2030-02-30T00:00:00Z" }),
    bad(`activatesAt: "2030-02-30T00:00:00Z" must be ${TIME}`),
  ],
  [
    "the end of time",
    change({ activatesAt: "9999-12-31T23:59:59-23:59" }),
    bad(`activatesAt: "9999-12-31T23:59:59-23:59" must be ${TIME}`),
  ],
  [
    "a negative delay",
    change({ activatesInMs: -5 }),
    bad("activatesInMs: -5 must be a whole number from 0 to 31622400000"),
  ],
  [
    "two times",
    change({ activatesInMs: 5000, activatesAt: "2030-01-01T00:00:00Z" }),
    untold("activatesAt and activatesInMs exclude each other: send one of them"),
  ],
  [
    "a misspelt key",
    change({ activateAt: "x" }),
    bad(`activateAt: unknown key, must be one of ${CHANGE_KEYS}`),
  ],
  ["no config", {}, bad("config: (missing) must be the whole config")],
  ["no object at all", '"hello"', bad('body: "hello" must be an object')],
  ["no JSON", "hello", notJson("Unexpected token")],
];

describe("PUT /v1/config", () => {
  test.each(PUTS)("%s", async (_what, body, refused) => {
    await plane.expectRefused(() => plane.api.put(body), refused);
  });

  test.each<[what: string, headers: Record<string, string>, refused: Refusal]>([
    [
      "no JSON by its header",
      { "content-type": "text/plain" },
      untold('send application/json: {"config": {…}, "activatesAt": "2026-11-21T12:00:00Z"}'),
    ],
    [
      "an If-Match that is no version",
      { "if-match": '"abc"' },
      untold('If-Match: "abc" must be the highest version, like "7": the ETag of GET /v1/config'),
    ],
    [
      "an encoding",
      { "content-encoding": "snappy" },
      {
        status: 415,
        title: "Unsupported Media Type",
        code: "body_encoding_unsupported",
        detail: 'unsupported content encoding "snappy"',
      },
    ],
    [
      "an outdated If-Match",
      { "if-match": '"77"' },
      {
        status: 412,
        title: "Config has changed",
        code: "config_changed",
        highest: 1,
        detail: "the change was made on version 77, the highest is 1: read it and try again",
      },
    ],
  ])("%s", async (_what, headers, refused) => {
    await plane.expectRefused(() => plane.api.put({ config: CONFIG }, headers), refused);
  });
});

describe("DELETE /v1/config/:version, and reads", () => {
  const request = (method: string, path: string) => () => plane.api.send(method, path);
  test.each<[method: string, path: string, refused: Refusal]>([
    [
      "DELETE",
      "/v1/config/1",
      {
        status: 409,
        title: "Not pending",
        code: "config_not_pending",
        detail: "version 1 is active already, or was replaced: only what is to come can be cancelled",
      },
    ],
    [
      "DELETE",
      "/v1/config/77",
      {
        status: 404,
        title: "No such config",
        code: "config_not_found",
        detail: "there is no config version 77",
      },
    ],
    ["DELETE", "/v1/config/-1", untold("the version in /v1/config/-1 must be a whole number from 1")],
    [
      "DELETE",
      "/v1/config/1?by=%00",
      bad('by: "\\u0000" must be a text of at most 100 characters, without control characters'),
    ],
    ["DELETE", "/v1/config/1?whom=me", bad("whom: unknown key, must be one of by, reason")],
    ["GET", "/v1/config/1e3", untold("the version in /v1/config/1e3 must be a whole number from 1")],
    ["GET", "/v1/config/history?limit=501", untold("history takes ?before=<version> and ?limit=<1 to 500>")],
    [
      "GET",
      "/v1/items/%00/owner",
      {
        status: 404,
        title: "No such work item",
        code: "item_not_found",
        detail: "work_items has no row with id \0",
      },
    ],
  ])("%s %s", async (method, path, refused) => {
    await plane.expectRefused(request(method, path), refused);
  });
});

test("ahead of a pending version, whatever the time: what stands in the way is named", async () => {
  expect((await plane.api.put({ config: CONFIG, activatesInMs: 600_000 })).status).toBe(200);
  for (const wanted of [{}, { activatesInMs: 0 }, { activatesInMs: 60_000 }]) {
    await plane.expectRefused(() => plane.api.put({ config: CONFIG, ...wanted }), {
      status: 409,
      title: "Another config is pending",
      code: "config_pending",
      pending: 2,
      detail: 'version 2 is to rule later and would never: cancel it first, or say "replace" (--replace)',
    });
  }
});
