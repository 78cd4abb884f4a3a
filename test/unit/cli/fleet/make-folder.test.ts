import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeFolder } from "../../../../cli/fleet/make-folder.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ringfleet-folder-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("makes what is missing, and is content with what is there", () => {
  const path = join(folder, "a", "b");
  makeFolder(path);
  makeFolder(path);
  expect(statSync(path).isDirectory()).toBe(true);
});

test("says what stands in the way: a file, a file system that makes no folders", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => makeFolder(join(folder, "file"))).toThrow("EEXIST");
  expect(() => makeFolder(join(folder, "file", "below"))).toThrow("ENOTDIR");
  expect(() => makeFolder("/proc/ringfleet/below")).toThrow("ENOENT");
});
