import { EventEmitter, once } from "node:events";
import { expect, it } from "vitest";
import { type ProcessHost, type Running, runProcess } from "../../../../core/lifecycle/process.js";
import { createLogger } from "../../../../core/log.js";
import { SettingsError } from "../../../../core/settings/settings-error.js";

/** Node's process, played: signals are emitted, exits are recorded. */
class PlayedProcess extends EventEmitter {
  readonly exits: number[] = [];
  readonly words: string[] = [];
  readonly stderr = { write: (text: string) => this.words.push(text) };
  readonly exited = once(this, "played-exit");

  exit(code: number): never {
    this.exits.push(code);
    this.emit("played-exit");
    return undefined as never;
  }
}

function play(start: () => Promise<Running>, log: Parameters<typeof runProcess>[1] = () => null) {
  const host = new PlayedProcess();
  const done = runProcess(start, log, host satisfies ProcessHost);
  return { host, done };
}

/** Something running whose stop the test ends by hand. */
function slowToStop() {
  let stops = 0;
  let release: () => void = () => undefined;
  const running: Running = {
    stop: () => {
      stops += 1;
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  };
  return { running, stops: () => stops, release: () => release() };
}

it("stops in order at SIGTERM, and exits with 0 only then", async () => {
  const { running, stops, release } = slowToStop();
  const { host, done } = play(async () => running);
  await done;
  host.emit("SIGTERM", "SIGTERM");
  expect(stops()).toBe(1);
  expect(host.exits).toEqual([]);
  release();
  await host.exited;
  expect(host.exits).toEqual([0]);
});

it("exits with 1 at the second signal, without a second stop", async () => {
  const { running, stops } = slowToStop();
  const { host, done } = play(async () => running);
  await done;
  host.emit("SIGINT", "SIGINT");
  host.emit("SIGTERM", "SIGTERM");
  expect(host.exits).toEqual([1]);
  expect(stops()).toBe(1);
});

it("ends at a signal while it still starts", async () => {
  const { host } = play(() => new Promise(() => undefined));
  host.emit("SIGTERM", "SIGTERM");
  await host.exited;
  expect(host.exits).toEqual([0]);
});

it("stops, then exits with the code, when it ends by itself", async () => {
  const order: string[] = [];
  const { host } = play(async () => ({
    ended: Promise.resolve(4),
    stop: async () => {
      order.push("stopped");
    },
  }));
  await host.exited;
  expect(order).toEqual(["stopped"]);
  expect(host.exits).toEqual([4]);
});

it("tells a bad setting in one line and exits with 2", async () => {
  const { host } = play(() => {
    throw new SettingsError([{ name: "PORT", value: "x", allowed: "must be a number" }]);
  });
  await host.exited;
  expect(host.words).toEqual(["PORT=x: must be a number\n"]);
  expect(host.exits).toEqual([2]);
});

it("tells an unexpected failure with its stack and exits with 1", async () => {
  const { host } = play(async () => {
    throw new Error("broken");
  });
  await host.exited;
  expect(host.words.join("")).toMatch(/^Error: broken\n\s+at /);
  expect(host.exits).toEqual([1]);
});

it("logs it instead once there is a log, unless that is silent", async () => {
  const lines: string[] = [];
  for (const level of ["fatal", "silent"]) {
    const log = createLogger(level, {}, { write: (line: string) => lines.push(line) });
    const { host, done } = play(
      async () => ({ stop: async () => undefined }),
      () => log,
    );
    await done;
    host.emit("unhandledRejection", new Error(`broken with ${level}`));
    expect(host.exits).toEqual([1]);
    expect(host.words).toHaveLength(level === "silent" ? 1 : 0);
  }
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "fatal",
    msg: "unexpected failure",
    err: { message: "broken with fatal" },
  });
});

it("exits with 1 where the stop fails", async () => {
  const { host, done } = play(async () => ({
    stop: async () => {
      throw new Error("can't stop");
    },
  }));
  await done;
  host.emit("SIGTERM", "SIGTERM");
  await host.exited;
  expect(host.exits).toEqual([1]);
});
