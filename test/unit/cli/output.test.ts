import { expect, test } from "vitest";
import { CliError, describeError, EXIT } from "../../../cli/cli-error.js";
import { table } from "../../../cli/output.js";
import { SettingsError } from "../../../core/settings/settings-error.js";

test("columns are as wide as their widest cell, figures stand to the right, nothing trails", () => {
  const text = table(
    ["worker", "rows", "revision"],
    [
      ["worker-1", 4, "up"],
      ["worker-10", 12_000, null],
    ],
  );
  expect(text.split("\n")).toEqual([
    "worker      rows  revision",
    "worker-1       4  up",
    "worker-10  12000  –",
  ]);
});

test("a table without rows is its head", () => {
  expect(table(["id", "value"], [])).toBe("id  value");
});

test("an error of ours keeps its code, exit code and words", () => {
  expect(describeError(new CliError("port_taken", "port 1 is taken", EXIT.usage))).toEqual({
    code: "port_taken",
    message: "port 1 is taken",
    exitCode: 2,
  });
  const problem = { name: "PORT", value: "x", allowed: "must be a number" };
  expect(describeError(new SettingsError([problem]))).toEqual({
    code: "settings_invalid",
    message: "PORT=x: must be a number",
    exitCode: 2,
  });
});

test("anything else is told by its message, with exit code 1; of several causes the first", () => {
  expect(describeError(new Error("odd"))).toEqual({ code: "failed", message: "odd", exitCode: 1 });
  expect(describeError("odd")).toEqual({ code: "failed", message: "odd", exitCode: 1 });
  const refused = Object.assign(new Error("connect ECONNREFUSED ::1:5432"), { code: "ECONNREFUSED" });
  const both = Object.assign(new AggregateError([refused], ""), { code: "ECONNREFUSED" });
  expect(describeError(both)).toMatchObject({ code: "econnrefused", message: refused.message });
});
