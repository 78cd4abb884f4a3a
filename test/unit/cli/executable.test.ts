import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../../core/project-root.js";

const { bin } = JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8")) as {
  bin: { ringfleet: string };
};
const source = join(projectRoot(), bin.ringfleet);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ringfleet-bin-"));
  cpSync(source, join(folder, bin.ringfleet), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run() {
  return spawnSync(join(folder, bin.ringfleet), ["status"], { encoding: "utf8" });
}

test("what npx runs is executable for everybody as it stands in the repository", () => {
  expect(statSync(source).mode & 0o111).toBe(0o111);
});

test("before the build it says so, and after it runs what was built, whatever its mode", () => {
  expect(run()).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("npm run build") });
  mkdirSync(join(folder, "dist/cli"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "dist/cli/main.js"), "console.log(process.argv.slice(2).join());", {
    mode: 0o644,
  });
  expect(run()).toMatchObject({ status: 0, stdout: "status\n", stderr: "" });
});
