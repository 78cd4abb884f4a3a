import { Agent, get, type IncomingMessage } from "node:http";
import express, { Router } from "express";
import { pino } from "pino";
import { Gauge, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { type Health, healthRouter } from "../../../../core/http/health.js";
import { Problem } from "../../../../core/http/problem.js";
import { createApp, type HttpServer, listen } from "../../../../core/http/server.js";

const servers: HttpServer[] = [];
const logged: { msg: string; path: string; err: { message: string } }[] = [];
const log = pino({}, { write: (line: string) => logged.push(JSON.parse(line)) });

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(0);
  logged.length = 0;
});

async function serve(...routers: Router[]): Promise<HttpServer> {
  const server = await listen(createApp(routers, log), "127.0.0.1", 0);
  servers.push(server);
  return server;
}

function failing(error: unknown): Router {
  return Router().get("/it", async () => {
    throw error;
  });
}

async function problemAt(url: string, init?: RequestInit): Promise<Record<string, unknown>> {
  const response = await fetch(url, init);
  expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  const body = (await response.json()) as Record<string, unknown>;
  expect(body["status"]).toBe(response.status);
  return body;
}

describe("problems", () => {
  it("tell of a route that doesn't exist, or not with this method", async () => {
    const { url } = await serve(Router().get("/it", (_request, response) => void response.json({})));
    expect(await problemAt(`${url}/that?x=1`)).toEqual({
      type: "about:blank",
      title: "Not found",
      status: 404,
      detail: "there is no GET /that",
      code: "route_not_found",
    });
    expect(await problemAt(`${url}/it`, { method: "POST" })).toMatchObject({ status: 404 });
  });

  it("are what a route threw; its extra members can't hide the others", async () => {
    const extra = { seat: 3, status: 200 };
    const problem = new Problem({
      status: 409,
      code: "taken",
      title: "Taken",
      detail: "seat 3 is taken",
      extra,
    });
    const { url } = await serve(failing(problem));
    expect(await problemAt(`${url}/it`)).toMatchObject({ status: 409, code: "taken", seat: 3 });
    expect(logged).toEqual([]);
  });

  it.each([
    [new Error("connect ECONNREFUSED 10.1.2.3:5432"), 503, "unavailable"],
    [new TypeError("secretName is not a function"), 500, "internal_error"],
  ])("log what nobody foresaw (%s), and tell nothing of it", async (error, status, code) => {
    const { url } = await serve(failing(error));
    const problem = await problemAt(`${url}/it`);
    expect(problem).toMatchObject({ status, code });
    expect(JSON.stringify(problem)).not.toMatch(/10\.1\.2\.3|secretName/);
    expect(logged).toMatchObject([{ msg: "a request failed", path: "/it", err: { message: error.message } }]);
  });

  it.each([
    ["{", {}, 400, "body_not_json"],
    [JSON.stringify("x".repeat(200)), {}, 413, "body_too_large"],
    ["{}", { "content-encoding": "rot13" }, 415, "body_encoding_unsupported"],
  ])("tell of a body that can't be read: %.10s %j", async (body, headers, status, code) => {
    const router = Router().post(
      "/it",
      express.json({ limit: 100 }),
      (_request, response) => void response.end(),
    );
    const { url } = await serve(router);
    const init = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
    expect(await problemAt(`${url}/it`, init)).toMatchObject({ status, code });
    expect(logged).toEqual([]);
  });

  it("tell of a path that can't be decoded", async () => {
    const { url } = await serve(Router().get("/it/:id", (_request, response) => void response.end()));
    expect(await problemAt(`${url}/it/%zz`)).toMatchObject({ status: 400, code: "bad_request" });
  });
});

describe("headers", () => {
  it("tell nothing of the software, and keep answers out of caches", async () => {
    const { url } = await serve();
    const { headers } = await fetch(url);
    expect(headers.get("x-powered-by")).toBeNull();
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("health", () => {
  const health = (changes: Partial<Health> = {}) =>
    healthRouter({ live: () => null, ready: () => [], registry: new Registry(), ...changes });

  it("is 200 while nothing is wrong", async () => {
    const { url } = await serve(health());
    expect(await (await fetch(`${url}/livez`)).json()).toEqual({ status: "live" });
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: "ready" });
  });

  it("is 503 with the reason, liveness and readiness apart", async () => {
    const stuck = await serve(health({ live: () => "the tick loop has made no round for 12 s" }));
    expect(await problemAt(`${stuck.url}/livez`)).toMatchObject({
      status: 503,
      code: "not_live",
      detail: "the tick loop has made no round for 12 s",
    });
    expect((await fetch(`${stuck.url}/readyz`)).status).toBe(200);
    const waiting = await serve(health({ ready: () => ["Postgres", "Redis"] }));
    expect(await problemAt(`${waiting.url}/readyz`)).toMatchObject({
      status: 503,
      code: "not_ready",
      detail: "waiting for Postgres, Redis",
      waitingFor: ["Postgres", "Redis"],
    });
    expect((await fetch(`${waiting.url}/livez`)).status).toBe(200);
  });

  it("gives the registry's metrics as Prometheus text", async () => {
    const registry = new Registry();
    new Gauge({ name: "ringfleet_x", help: "x", registers: [registry] }).set(0);
    const { url } = await serve(health({ registry }));
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain("ringfleet_x 0");
  });
});

describe("listen", () => {
  it("names a taken port, and what to do", async () => {
    const { port } = await serve();
    await expect(listen(createApp([], log), "127.0.0.1", port)).rejects.toMatchObject({
      exitCode: 2,
      message: `port ${port} is taken: set PORT to another, or 0 for any free one (HOST=127.0.0.1)`,
    });
  });

  it("names an address that isn't this machine's", async () => {
    await expect(listen(createApp([], log), "192.0.2.1", 0)).rejects.toMatchObject({
      exitCode: 2,
      message: "HOST=192.0.2.1: must be an address of this machine (EADDRNOTAVAIL)",
    });
  });

  it("tells a URL that can be reached, with the port that was taken", async () => {
    const { url, port } = await serve();
    expect(port).toBeGreaterThan(0);
    expect(url).toBe(`http://127.0.0.1:${port}`);
  });
});

describe("stop", () => {
  /** A route that answers when the test says so, and a request to it on a connection that is kept alive. */
  async function slowRequest() {
    let answer: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const router = Router().get("/slow", (_request, response) => {
      answer = () => void response.json({ done: true });
      arrived();
    });
    const server = await serve(router);
    const agent = new Agent({ keepAlive: true });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      get(`${server.url}/slow`, { agent }, resolve).on("error", reject);
    });
    response.catch(() => undefined);
    await arrival;
    return { server, response, answer: () => answer(), end: () => agent.destroy() };
  }

  it("lets a running request end, then closes its connection without waiting for the keep-alive", async () => {
    const { server, response, answer, end } = await slowRequest();
    const startedAt = performance.now();
    const stops = Promise.all([server.stop(), server.stop()]);
    await expect(fetch(server.url)).rejects.toThrow();
    answer();
    const message = await response;
    expect(message.statusCode).toBe(200);
    message.resume();
    await stops;
    expect(performance.now() - startedAt).toBeLessThan(900);
    end();
  });

  it("cuts off a request that takes longer than the grace", async () => {
    const { server, response, end } = await slowRequest();
    await server.stop(50);
    await expect(response).rejects.toMatchObject({ code: "ECONNRESET" });
    end();
  });
});
