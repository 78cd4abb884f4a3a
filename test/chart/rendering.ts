import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { projectRoot } from "../../core/project-root.js";
import { helmBinary } from "./helm-binary.js";

export const CHART = join(projectRoot(), "charts", "ringfleet");

// biome-ignore lint/suspicious/noExplicitAny: manifests are checked by their schemas, not by the compiler
export type Manifest = Record<string, any>;

export interface HelmResult {
  ok: boolean;
  stdout: string;
  stderr: string;
}

export function helm(args: string[]): HelmResult {
  // No kubeconfig: what is rendered must not depend on whose machine this is.
  const env = { ...process.env, KUBECONFIG: "/dev/null" };
  const { status, stdout, stderr } = spawnSync(helmBinary(), args, { env, encoding: "utf8" });
  return { ok: status === 0, stdout, stderr };
}

/** The manifests of a release `fleet` in namespace `work`. Throws what helm says. */
export function render(args: string[] = []): Manifest[] {
  const { ok, stdout, stderr } = helm(["template", "fleet", CHART, "--namespace", "work", ...args]);
  if (!ok) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => {
      if (document.errors[0] !== undefined) throw document.errors[0];
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

/** Names and paths of charts/ringfleet/ci. */
export function valueMatrix(): { name: string; path: string }[] {
  return readdirSync(join(CHART, "ci")).map((file) => ({
    name: file.replace("-values.yaml", ""),
    path: join(CHART, "ci", file),
  }));
}

export function pick(manifests: Manifest[], kind: string, name: string): Manifest {
  const hit = manifests.find((each) => each["kind"] === kind && each["metadata"].name === name);
  if (hit === undefined) throw new Error(`no ${kind} ${name}`);
  return hit;
}

/** Everything that becomes a pod: [what it is called, pod spec]. */
export function podSpecs(manifests: Manifest[]): [string, Manifest][] {
  return manifests.flatMap((each): [string, Manifest][] => {
    const label = `${each["kind"]}/${each["metadata"].name}`;
    if (each["kind"] === "Pod") return [[label, each["spec"]]];
    const isTemplate = ["Deployment", "StatefulSet", "Job"].includes(each["kind"]);
    return isTemplate ? [[label, each["spec"].template.spec]] : [];
  });
}
