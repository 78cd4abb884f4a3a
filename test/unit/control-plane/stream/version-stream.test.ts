import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Cursor, parseCursor } from "../../../../control-plane/stream/cursor.js";
import { VersionStream } from "../../../../control-plane/stream/version-stream.js";
import type { Queryable, QueryResult, Row } from "../../../../core/postgres/database.js";
import { ringDigest } from "../../../../core/ring/view.js";
import type { VersionDocument } from "../../../../core/versions/version.js";

class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  writableLength = 0;
  writableEnded = false;
  destroyed = false;
  writeHead(): void {}
  setHeader(): void {}
  write(text: string): void {
    // Node's own response emits an error that ends the process.
    if (this.writableEnded) throw new Error("write after end");
    this.written.push(text);
  }
  end(): void {
    this.writableEnded = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(stream: VersionStream, cursor: Cursor | null = null): FakeResponse {
  const response = new FakeResponse();
  stream.add(response as unknown as ServerResponse, cursor);
  return response;
}

test("a silent connection gets a comment every 15 s; a client that doesn't read is let go", async () => {
  const stream = new VersionStream(
    { query: () => Promise.reject(new Error("away")) },
    () => undefined,
    new Registry(),
  );
  const [reader, sleeper] = [open(stream), open(stream)];
  await vi.advanceTimersByTimeAsync(30_000);
  expect(reader.written.filter((text) => text === ": beat\n\n")).toHaveLength(2);
  sleeper.writableLength = 2 * 1024 * 1024;
  await vi.advanceTimersByTimeAsync(15_000);
  expect([reader.destroyed, sleeper.destroyed]).toEqual([false, true]);
  reader.destroy();
  expect(await stream.step()).toBe(Number.POSITIVE_INFINITY);
});

function ringDocument(version: number): VersionDocument {
  const seats = Array.from({ length: 20 }, (_, seat) => {
    return { seat, worker: `worker-${seat}`, incarnation: version * 100 + seat, weight: 1, revision: "" };
  });
  const body = { format: 1 as const, seats, exceptions: [], dead: [] };
  const times = { activatesAtMs: 0, createdAtMs: 0 };
  return { kind: "ring", version, digest: ringDigest(body), body, createdBy: "", reason: "", ...times };
}

/** Answers as Postgres does, where `documents` are all that was published. */
function databaseOf(documents: readonly VersionDocument[], asked: () => Promise<void>): Queryable {
  return {
    async query<R extends Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
      await asked();
      const present = { ring: documents.length, config: 0, ruling: 1 };
      const after = documents.filter(({ version }) => version > Number(values?.[0])).slice(0, 50);
      const rows = text.includes("ruling") ? [present] : after;
      return { rows: rows as unknown as R[], rowCount: rows.length };
    },
  };
}

test("a step that is under way when the stream stops writes nothing to who reads slowly, and ends", async () => {
  let queries = 0;
  const db = databaseOf([ringDocument(1)], async () => {
    queries += 1;
    if (queries === 2) stream.stop();
  });
  const stream = new VersionStream(db, () => undefined, new Registry());
  const client = open(stream);
  await stream.step();
  expect(queries).toBe(2);
  expect(client.written).toEqual(["retry: 2000\n\n"]);
});

test("many old views for one client: everybody else has a turn between any two, and each is opened once", async () => {
  vi.useRealTimers();
  const documents = Array.from({ length: 50 }, (_, index) => ringDocument(index + 1));
  const stream = new VersionStream(
    databaseOf(documents, async () => undefined),
    () => undefined,
    new Registry(),
  );
  const turnsOfStep = async () => {
    const client = open(stream, { ring: 0, config: 0 });
    let turns = 0;
    const turn = () => {
      turns += 1;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    await stream.step();
    clearImmediate(next);
    expect(client.written.at(-1)?.match(/^event: ring$/gm)).toHaveLength(50);
    client.destroy();
    return turns;
  };
  expect(await turnsOfStep()).toBeGreaterThan(40);
  expect(await turnsOfStep()).toBeLessThan(10);
  stream.stop();
});

test.each(["", "r1", "r1.c", "r-1.c2", "r1.c2;", "R1.c2"])("%j is no id of the stream", (text) => {
  expect(parseCursor(text)).toBeNull();
});
