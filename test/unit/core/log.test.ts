import { expect, it } from "vitest";
import { createLogger } from "../../../core/log.js";

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger("info", { worker: "w1" }, { write: (line: string) => lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

it("writes one line of JSON with ISO time, level in words and the base", () => {
  const lines = logged((log) => {
    log.info({ tick: 7 }, "worked");
    log.debug("not at this level");
  });
  expect(lines).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      worker: "w1",
      tick: 7,
      msg: "worked",
    },
  ]);
});

it("writes no secret", () => {
  let invalid: unknown;
  try {
    new URL("postgres://ann:s3cret@db:port");
  } catch (error) {
    invalid = error;
  }
  const settings = {
    databaseUrl: "postgres://:s3cret@db",
    redisUrl: "redis://:s3cret@r",
    apiToken: "s3cret",
  };
  const lines = logged((log) => {
    log.info(settings, "flat");
    log.info({ settings }, "nested");
    log.error({ err: invalid }, "error");
    log.error({ req: { headers: { authorization: "Bearer s3cret" } } }, "request");
  });
  expect(lines).toHaveLength(4);
  expect(JSON.stringify(lines)).not.toContain("s3cret");
});
