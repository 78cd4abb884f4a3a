import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../core/project-root.js";

interface Step {
  stage: string;
  instruction: string;
  text: string;
}

/** The instructions of a Dockerfile, each with the stage that it is in; the last stage is `final`. */
export function stepsOf(dockerfile: string): Step[] {
  const text = readFileSync(join(projectRoot(), dockerfile), "utf8").replaceAll(/\\\n/g, " ");
  let stage = "final";
  return text.split("\n").flatMap((line): Step[] => {
    const [, instruction, rest] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (instruction === undefined || rest === undefined) return [];
    if (instruction === "FROM") stage = / AS (\w+)$/.exec(rest)?.[1] ?? "final";
    return [{ stage, instruction, text: rest }];
  });
}

/** Stages that were built already, by their steps: both images share all but the last. */
const built = new Map<string, string>();

/** There is no Docker here: runs COPY and RUN in folders below `root` that stand for stages. Returns the last one. */
export function buildImage(dockerfile: string, root: string): string {
  const steps = stepsOf(dockerfile);
  const keyOf = (stage: string) => JSON.stringify(steps.filter((step) => step.stage === stage));
  const folderOf = (stage: string) => built.get(keyOf(stage)) ?? join(root, stage);
  // The last one copies from the others.
  const stages = new Set([...steps.map(({ stage }) => stage).filter((stage) => stage !== "final"), "final"]);
  for (const stage of stages) {
    if (built.has(keyOf(stage))) continue;
    runStage(steps, stage, folderOf);
    built.set(keyOf(stage), folderOf(stage));
  }
  return folderOf("final");
}

function runStage(steps: readonly Step[], stage: string, folderOf: (stage: string) => string): void {
  mkdirSync(folderOf(stage), { recursive: true });
  for (const { instruction, text } of steps.filter((step) => step.stage === stage)) {
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
}

/** The cache is this machine's own. */
function withoutCacheClean(command: string): string {
  return command.replace(" && npm cache clean --force", "");
}
