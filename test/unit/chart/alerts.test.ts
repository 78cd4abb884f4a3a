import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { projectRoot } from "../../../core/project-root.js";
import { CHART, type Manifest, pick, render } from "../../chart/rendering.js";

const RUNBOOKS = join(projectRoot(), "docs", "operations", "runbooks");
const METRICS = join(projectRoot(), "docs", "reference", "metrics.md");
const MANIFESTS = render(["-f", join(CHART, "ci", "monitoring-values.yaml")]);
const RULES: Manifest[] = pick(MANIFESTS, "PrometheusRule", "fleet-ringfleet")["spec"].groups[0].rules;

it("every alert has a runbook, and every runbook an alert", () => {
  const alerts = RULES.map(({ alert }) => alert as string).sort();
  const runbooks = readdirSync(RUNBOOKS)
    .map((file) => basename(file, ".md"))
    .sort();
  expect(runbooks).toEqual(alerts);
  for (const { alert, annotations } of RULES)
    expect(annotations.runbook_url).toMatch(new RegExp(`/${alert}\\.md$`));
});

it("alerts ask only for metrics that the processes expose", () => {
  expect(existsSync(METRICS)).toBe(true);
  const known = new Set(readFileSync(METRICS, "utf8").match(/ringfleet_\w+/g));
  for (const { alert, expr } of RULES) {
    for (const name of expr.match(/ringfleet_\w+/g)) expect(known, alert).toContain(name);
  }
});

it("alerts look at this fleet alone, by the label that the monitors set", () => {
  for (const { alert, expr, labels } of RULES) {
    expect(expr.match(/ringfleet_\w+/g).length, alert).toBe(
      expr.match(/\{namespace="work",fleet="fleet-ringfleet"/g).length,
    );
    expect(labels).toMatchObject({ severity: expect.stringMatching(/^(critical|warning)$/), team: "fleet" });
  }
  for (const [kind, name, list] of [
    ["ServiceMonitor", "control-plane", "endpoints"],
    ["PodMonitor", "worker", "podMetricsEndpoints"],
  ] as const) {
    const monitor = pick(MANIFESTS, kind, `fleet-ringfleet-${name}`);
    expect(monitor["spec"][list][0].relabelings).toEqual([
      { targetLabel: "fleet", replacement: "fleet-ringfleet" },
    ]);
    expect(monitor["metadata"].labels.release).toBe("prometheus");
  }
});
