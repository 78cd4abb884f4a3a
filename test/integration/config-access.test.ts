import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../core/versions/config.js";
import { type Answer, ConfigApi, TOKEN } from "../harness/config-api.js";
import { ConfigPlane, type Refusal } from "../harness/config-plane.js";
import { waitFor } from "../harness/fleet.js";

let plane: ConfigPlane;
beforeAll(async () => {
  plane = await ConfigPlane.start();
});
afterAll(() => plane.close());

const highest = async () => Number((await plane.api.get("/v1/config")).body["highest"]);
const change = (increment: number) => ({ config: { ...DEFAULT_CONFIG, increment } });

/** Schedules a version for later, ahead of whatever else is pending, and returns its number. */
async function pending(): Promise<number> {
  const { status, body } = await plane.api.put({ ...change(7), activatesInMs: 600_000, replace: true });
  expect(status).toBe(200);
  return Number(body["version"]);
}

describe("without the token nothing is written", () => {
  const unauthorized: Refusal = {
    status: 401,
    title: "Unauthorized",
    code: "token_required",
    detail: "this needs the header `Authorization: Bearer <API_TOKEN>` with the control plane's token",
  };
  const headers = {
    none: "",
    "of another scheme": `Basic ${Buffer.from(`nina:${TOKEN}`).toString("base64")}`,
    wrong: "Bearer wrong",
    "with more behind it": `Bearer ${TOKEN}x`,
    "without its end": `Bearer ${TOKEN.slice(0, -1)}`,
    "in other letters": `Bearer ${TOKEN.toUpperCase()}`,
    empty: "Bearer ",
    alone: TOKEN,
  };

  test.each(Object.entries(headers))(
    "a token that is %s: 401 with WWW-Authenticate",
    async (_what, authorization) => {
      const version = await pending();
      const requests = [
        () => plane.api.put({ ...change(9), replace: true }, { authorization }),
        () => plane.api.put("no JSON", { authorization }),
        () => plane.api.send("DELETE", `/v1/config/${version}`, undefined, { authorization }),
      ];
      for (const request of requests) {
        const answer = await plane.expectRefused(request, unauthorized);
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      }
    },
  );

  test("every route that can change something asks for it, but for the webhook, whose messages are signed", async () => {
    const { paths } = (await plane.api.get("/v1/openapi.json")).body as {
      paths: Record<string, Record<string, { security?: unknown }>>;
    };
    const writes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== "get")
        .map(([method, { security }]) => ({ method, path, asks: security !== undefined })),
    );
    expect(writes.filter(({ asks }) => !asks).map(({ path }) => path)).toEqual([
      // It reads: what a change would move.
      "/v1/ring/preview",
      "/v1/webhooks/config",
    ]);
    for (const { method, path } of writes.filter(({ asks }) => asks)) {
      const url = path.replaceAll(/\{\w+\}/g, "1");
      await plane.expectRefused(
        () => plane.api.send(method.toUpperCase(), url, undefined, { authorization: "" }),
        unauthorized,
      );
    }
  });
});

describe("two operators at once, on two replicas, on the same version: exactly one wins", () => {
  type Operator = (api: ConfigApi, seen: number, ifMatch: object) => Promise<Answer>;
  const put: Operator = (api, seen, ifMatch) =>
    api.put({ ...change(seen), activatesInMs: 600_000, replace: true }, ifMatch);
  const cancel: Operator = (api, seen, ifMatch) =>
    api.send("DELETE", `/v1/config/${seen}`, undefined, ifMatch);

  test.each<[what: string, one: Operator, other: Operator]>([
    ["both change", put, put],
    ["both cancel", cancel, cancel],
    ["one changes, one cancels", put, cancel],
  ])("%s", async (_what, one, other) => {
    for (let round = 0; round < 10; round += 1) {
      const seen = await pending();
      const ifMatch = { "if-match": `"${seen}"` };
      const answers = await Promise.all([
        one(plane.apis[0], seen, ifMatch),
        other(plane.apis[1], seen, ifMatch),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
      expect(answers.find(({ status }) => status === 412)?.body).toEqual({
        type: "about:blank",
        status: 412,
        title: "Config has changed",
        code: "config_changed",
        detail: `the change was made on version ${seen}, the highest is ${seen + 1}: read it and try again`,
        highest: seen + 1,
      });
      const winner = answers.find(({ status }) => status === 200);
      expect(winner?.headers.get("etag")).toBe(`"${seen + 1}"`);
      expect(winner?.body["version"]).toBe(seen + 1);
      expect(await highest()).toBe(seen + 1);
    }
  });

  test("who comes later with what he saw before is refused, and the winner's version stays", async () => {
    const seen = await pending();
    const ifMatch = { "if-match": `"${seen}"` };
    expect(
      (await plane.api.put({ ...change(8), activatesInMs: 500_000, replace: true }, ifMatch)).status,
    ).toBe(200);
    for (const operator of [put, cancel]) {
      await plane.expectRefused(() => operator(plane.apis[1], seen, ifMatch), {
        status: 412,
        title: "Config has changed",
        code: "config_changed",
        detail: `the change was made on version ${seen}, the highest is ${seen + 1}: read it and try again`,
        highest: seen + 1,
      });
    }
  });
});

test("several pending versions are taken back from the last to the first; what that leaves stands in nobody's way", async () => {
  const schedule = async (increment: number, activatesInMs: number) => {
    const { status, body } = await plane.api.put({ ...change(increment), activatesInMs });
    expect(status, JSON.stringify(body)).toBe(200);
    return Number(body["version"]);
  };
  const cancel = (version: number) => plane.api.send("DELETE", `/v1/config/${version}`);
  expect((await plane.api.put({ config: DEFAULT_CONFIG, replace: true })).status).toBe(200);
  const [first, second, third] = [
    await schedule(21, 1_200_000),
    await schedule(22, 1_800_000),
    await schedule(23, 2_400_000),
  ];
  for (const [version, later] of [
    [first, second],
    [second, third],
  ] as const) {
    await plane.expectRefused(() => cancel(version), {
      status: 409,
      title: "Another config is pending",
      code: "config_pending",
      pending: later,
      detail: `version ${later} is to rule later and would never: cancel that one first`,
    });
  }
  for (const [version, increment] of [
    [third, 22],
    [second, 21],
    [first, DEFAULT_CONFIG.increment],
  ] as const) {
    expect(await cancel(version)).toMatchObject({ status: 200, body: { config: { increment } } });
  }
  const { body } = await plane.api.get("/v1/config");
  const toCome = [body["current"], ...(body["upcoming"] as object[])] as { config: { increment: number } }[];
  expect(new Set(toCome.map(({ config }) => config.increment))).toEqual(new Set([DEFAULT_CONFIG.increment]));
});

test("the ETag is for If-Match alone: what rules changes with time, and is told also to who knows the highest version", async () => {
  const ask = async (etag: string) => {
    const request = get(new URL("/v1/config", plane.api.base), { headers: { "if-none-match": etag } });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    return response;
  };
  const { headers } = await ask("none");
  expect(headers.etag).toMatch(/^"\d+"$/);
  expect((await ask(String(headers.etag))).statusCode).toBe(200);
});

describe("a control plane that others can reach", () => {
  test.each(["0.0.0.0", "::", "10.0.0.1", "example.com"])(
    "HOST=%s without a token: exit 2, one line",
    async (host) => {
      const control = plane.fleet.controlPlane("control-open", { HOST: host, API_TOKEN: "" });
      await waitFor("its refusal", () => control.hasExited, 10_000, control);
      expect(await control.exited).toEqual({ code: 2, signal: null });
      expect(control.raw).toEqual([
        `API_TOKEN is not set: must be set where HOST (${host}) is more than loopback, or ALLOW_ANONYMOUS_WRITES be true`,
      ]);
    },
  );

  test("starts with a token, and without one where it is told to; then everybody may write", async () => {
    const closed = plane.fleet.controlPlane("control-closed", { HOST: "0.0.0.0" });
    expect(await closed.url()).toMatch(/^http:\/\/127\.0\.0\.1:/);
    const open = plane.fleet.controlPlane("control-open", {
      HOST: "0.0.0.0",
      API_TOKEN: "",
      ALLOW_ANONYMOUS_WRITES: "true",
    });
    const url = await open.url();
    await waitFor("the open replica", async () => (await fetch(`${url}/readyz`)).ok, 10_000, open);
    const written = await new ConfigApi(url).put({ ...change(3), replace: true }, { authorization: "" });
    expect(written).toMatchObject({ status: 200, body: { config: { increment: 3 } } });
  });
});
