import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseCursor } from "../../../../control-plane/stream/cursor.js";
import { VersionStream } from "../../../../control-plane/stream/version-stream.js";

class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  writableLength = 0;
  destroyed = false;
  writeHead(): void {}
  setHeader(): void {}
  write(text: string): void {
    this.written.push(text);
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(stream: VersionStream): FakeResponse {
  const response = new FakeResponse();
  stream.add(response as unknown as ServerResponse, null);
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

test.each(["", "r1", "r1.c", "r-1.c2", "r1.c2;", "R1.c2"])("%j is no id of the stream", (text) => {
  expect(parseCursor(text)).toBeNull();
});
