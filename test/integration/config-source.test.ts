import dns from "node:dns";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ConfigSource } from "../../control-plane/webhook/config-source.js";

const NAME = "config.example.com";
const realLookup = dns.lookup;

let server: Server;
let port: number;
let requests = 0;
let lookups: string[] = [];
/** What the name server says, one answer after the other; the last one from then on. */
let answers: string[][] = [];
/** Takes the request instead of the server; null: it answers at once. */
let serve: RequestListener | null = null;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    if (serve === null) response.end("{}");
    else serve(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
  const lookup = (name: string, options: { all?: boolean }, done: (...args: unknown[]) => void) => {
    lookups.push(name);
    const addresses = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
    const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    if (options.all === true) done(null, found);
    else done(null, found[0]?.address, found[0]?.family);
  };
  Object.assign(dns, { lookup });
  syncBuiltinESMExports();
});
beforeEach(() => {
  requests = 0;
  lookups = [];
});
afterAll(() => {
  Object.assign(dns, { lookup: realLookup });
  syncBuiltinESMExports();
  server.close();
});

const source = (host: string, allowPrivate = false) =>
  new ConfigSource({ url: `http://${host}:${port}/`, token: null, allowPrivate, timeoutMs: 500 });
const refusal = { status: 502, code: "config_source_address_refused" };

test.each([
  ["127.0.0.1"],
  ["10.1.2.3"],
  ["192.168.1.1"],
  ["169.254.169.254"],
  ["0.0.0.0"],
  ["::1"],
  ["fd00::1"],
  ["fe80::1"],
  ["::ffff:127.0.0.1"],
])("a name that leads to %s is refused before anything is sent", async (address) => {
  answers = [[address]];
  await expect(source(NAME).fetch()).rejects.toMatchObject(refusal);
  answers = [["93.184.216.34", address]];
  await expect(source(NAME).fetch()).rejects.toMatchObject(refusal);
  expect(requests).toBe(0);
});

test("an address in the URL itself is refused likewise, but for loopback, which says what it means", async () => {
  await expect(source("10.1.2.3").fetch()).rejects.toMatchObject(refusal);
  await expect(source("[::ffff:10.1.2.3]").fetch()).rejects.toMatchObject(refusal);
  expect(await source("127.0.0.1").fetch()).toEqual({});
  answers = [["10.1.2.3"]];
  await expect(source("localhost").fetch()).rejects.toMatchObject(refusal);
});

test("allowed, a private address serves; each connection goes to the very address that was checked", async () => {
  const allowed = source(NAME, true);
  answers = [["127.0.0.1"]];
  expect(await allowed.fetch()).toEqual({});
  expect(lookups).toEqual([NAME]);
  // Rebinding: the second answer is what it always wanted. Nothing of the first is believed any more.
  const strict = source(NAME);
  answers = [["203.0.114.1"], ["127.0.0.1"]];
  await expect(strict.fetch()).rejects.toMatchObject({ status: 502 });
  await expect(strict.fetch()).rejects.toMatchObject(refusal);
  expect(lookups).toEqual([NAME, NAME, NAME]);
  expect(requests).toBe(1);
});

test("a 304 gives what was known when it was asked for, whatever another message has fetched meanwhile", async () => {
  const pending: ((status: number, etag: string) => void)[] = [];
  serve = (_request, response) => {
    pending.push((status, etag) => response.writeHead(status, { etag }).end(status === 304 ? "" : etag));
  };
  const fetched = new ConfigSource({ url: `http://127.0.0.1:${port}/`, token: null, allowPrivate: false });
  const ask = async () => {
    const answer = fetched.fetch();
    const asked = pending.length;
    await expect.poll(() => pending.length, { timeout: 3000 }).toBe(asked + 1);
    return { answer, reply: pending[asked] };
  };
  try {
    const first = await ask();
    first.reply?.(200, '"1"');
    expect(await first.answer).toBe("1");
    const slow = await ask();
    const newer = await ask();
    newer.reply?.(200, '"2"');
    expect(await newer.answer).toBe("2");
    slow.reply?.(304, '"1"');
    expect(await slow.answer).toBe("1");
  } finally {
    serve = null;
  }
});
