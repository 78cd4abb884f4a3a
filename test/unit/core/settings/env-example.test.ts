import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../../../core/project-root.js";
import { describeSettings, type SettingDescription } from "../../../../core/settings/describe-settings.js";
import { parseControlPlaneSettings, parseWorkerSettings } from "../../../../core/settings/settings.js";

const REGENERATE = "UPDATE=1 npx vitest run --project unit test/unit/core/settings/env-example.test.ts";
const PATH = join(projectRoot(), ".env.example");

const HEADER = `# Settings of ringfleet's processes (node dist/control-plane/main.js, node dist/worker/main.js).
# An empty variable counts as not set. Each but a path may be given as NAME_FILE instead: the path of a file
# that holds the value. What stands in comments below shows the default.
# Made from core/settings/setting.ts: ${REGENERATE}
`;

function renderExample(): string {
  return [HEADER, ...describeSettings().map(renderSetting)].join("\n");
}

function renderSetting(setting: SettingDescription): string {
  const required = setting.default === null;
  const lines = [
    `# ${setting.description}`,
    `#   for: ${setting.processes.map((each) => each.replace("-", " ")).join(", ")}`,
    `#   unit: ${setting.unit}`,
    `#   default: ${setting.default ?? "none, it is required"}`,
    `#   range: ${setting.range}`,
    required ? `${setting.name}=` : `# ${setting.name}=${exampleValue(setting)}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** Only a default that holds for every process can stand as a value. */
function exampleValue({ default: text }: SettingDescription): string {
  return text === null || text === "none" || text === "empty" || /[ ,]/.test(text) ? "" : text;
}

describe(".env.example", () => {
  it(`is what the settings say (else run: ${REGENERATE})`, () => {
    if (process.env["UPDATE"] === "1") writeFileSync(PATH, renderExample());
    expect(readFileSync(PATH, "utf8")).toBe(renderExample());
  });

  it("parses with nothing but the two URLs filled in, and changes no default", () => {
    const env: Record<string, string> = {};
    for (const line of renderExample().split("\n")) {
      const assignment = /^(?:# )?([A-Z_]+)=(.*)$/.exec(line);
      if (assignment?.[1] !== undefined) env[assignment[1]] = assignment[2] ?? "";
    }
    const urls = { DATABASE_URL: "postgres://db/x", REDIS_URL: "redis://cache" };
    expect(Object.keys(env)).toEqual(describeSettings().map(({ name }) => name));
    expect(parseWorkerSettings({ ...env, ...urls })).toEqual(parseWorkerSettings(urls));
    expect(parseControlPlaneSettings({ ...env, ...urls })).toEqual(parseControlPlaneSettings(urls));
  });
});

describe("describeSettings", () => {
  it("tells the settings of one process, with its own defaults", () => {
    const worker = describeSettings("worker");
    expect(worker.find(({ name }) => name === "PORT")?.default).toBe("9090");
    expect(worker.some(({ name }) => name === "LEASE_TTL_MS")).toBe(false);
    expect(describeSettings("control-plane").some(({ name }) => name === "WORKER_NAME")).toBe(false);
  });
});
