import { describe, expect, it } from "vitest";
import { parseMajorVersion } from "../../../../cli/stores/postgres-binaries.js";
import { parsePostmasterPid } from "../../../../cli/stores/postgres-predecessor.js";
import { lastLines } from "../../../../cli/stores/server-process.js";

describe("parsePostmasterPid", () => {
  it("reads the first line", () => {
    expect(parsePostmasterPid("4711\n/data\n1700000000\n20123\n")).toBe(4711);
  });

  it.each(["", "abc\n", "-4711\n", "1\n", "0\n"])("finds no pid in %j", (text) => {
    expect(parsePostmasterPid(text)).toBeNull();
  });
});

describe("parseMajorVersion", () => {
  it("reads releases and betas", () => {
    expect(parseMajorVersion("postgres (PostgreSQL) 18.4\n")).toBe("18");
    expect(parseMajorVersion("postgres (PostgreSQL) 19beta1\n")).toBe("19");
    expect(() => parseMajorVersion("something else")).toThrow("unknown Postgres version");
  });
});

describe("lastLines", () => {
  it("keeps the end of a log", () => {
    expect(lastLines("a\nb\nc\n", 2)).toBe("b\nc");
    expect(lastLines("")).toBe("");
  });
});
