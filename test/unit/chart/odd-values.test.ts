import { join } from "node:path";
import { expect, it } from "vitest";
import { schemaProblems } from "../../chart/kubernetes-schema.js";
import { CHART, type Manifest, pick, podSpecs, render } from "../../chart/rendering.js";

/** `render` itself throws at a key that stands twice. */
function renderText(...values: string[]): Manifest[] {
  return render(values.flatMap((value) => ["--set-string", value]));
}

function podTemplates(manifests: Manifest[]): [string, Manifest][] {
  return manifests.flatMap((each): [string, Manifest][] => {
    const template = each["spec"]?.template?.spec === undefined ? null : each["spec"].template;
    const pod = each["kind"] === "Pod" ? each : template;
    return pod === null ? [] : [[`${each["kind"]}/${each["metadata"].name}`, pod]];
  });
}

it("common labels are on every object and pod, override what only informs, and never what selects", () => {
  const manifests = renderText(
    "commonLabels.team=fleet",
    "commonLabels.app\\.kubernetes\\.io/part-of=platform",
    "commonLabels.app\\.kubernetes\\.io/name=other",
    "worker.podLabels.app\\.kubernetes\\.io/component=other",
    "redis.podLabels.tier=cache",
    "postgresql.podLabels.tier=database",
  );
  for (const { kind, metadata } of manifests) {
    expect(metadata.labels, `${kind}/${metadata.name}`).toMatchObject({
      team: "fleet",
      "app.kubernetes.io/part-of": "platform",
      "app.kubernetes.io/name": "ringfleet",
      "app.kubernetes.io/managed-by": "Helm",
    });
  }
  expect(podTemplates(manifests).length).toBe(6);
  for (const [name, { metadata }] of podTemplates(manifests)) {
    expect(metadata.labels, name).toMatchObject({ team: "fleet", "app.kubernetes.io/name": "ringfleet" });
  }
  const tierOf = (name: string) =>
    pick(manifests, "StatefulSet", `fleet-ringfleet-${name}`)["spec"].template.metadata.labels.tier;
  expect([tierOf("postgresql"), tierOf("redis")]).toEqual(["database", "cache"]);
  const { selector, template } = pick(manifests, "Deployment", "fleet-ringfleet-worker")["spec"];
  expect(template.metadata.labels).toMatchObject(selector.matchLabels);
});

it("annotations of a pod win over the common ones and those for scraping, not over the checksum", () => {
  const manifests = renderText(
    "commonAnnotations.owner=all",
    "worker.podAnnotations.owner=workers",
    "worker.podAnnotations.prometheus\\.io/scrape=false",
    "worker.podAnnotations.checksum/config=none",
  );
  const { annotations } = pick(manifests, "Deployment", "fleet-ringfleet-worker")["spec"].template.metadata;
  expect(annotations).toMatchObject({ owner: "workers", "prometheus.io/scrape": "false" });
  expect(annotations["checksum/config"]).toMatch(/^[0-9a-f]{64}$/);
});

it("labels for one's Prometheus and one's alerts win over the common ones", () => {
  const manifests = render([
    "--set",
    "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true,metrics.prometheusRule.enabled=true",
    "--set",
    "commonLabels.release=all,metrics.serviceMonitor.labels.release=mine,metrics.podMonitor.labels.release=mine",
    "--set",
    "metrics.prometheusRule.labels.release=mine,metrics.prometheusRule.alertLabels.severity=page",
  ]);
  for (const kind of ["ServiceMonitor", "PodMonitor", "PrometheusRule"]) {
    expect(manifests.find((each) => each["kind"] === kind)?.["metadata"].labels.release, kind).toBe("mine");
  }
  const [rule] = pick(manifests, "PrometheusRule", "fleet-ringfleet")["spec"].groups[0].rules;
  expect(rule.labels.severity).toBe("page");
});

it("names that YAML takes for numbers or booleans stay names", () => {
  const manifests = renderText(
    "nameOverride=1e3",
    "api.existingSecret=42",
    "api.secretKey=true",
    "webhook.existingSecret=42",
    "webhook.secretKey=0x10",
    "postgresql.auth.existingSecret=007",
    "postgresql.auth.passwordKey=1.0",
    "postgresql.auth.postgresPasswordKey=on",
    "postgresql.persistence.storageClass=1",
    "postgresql.priorityClassName=2",
    "redis.auth.existingSecret=1e3",
    "redis.auth.passwordKey=12",
    "worker.priorityClassName=3",
    "worker.serviceAccount.name=9",
    "imagePullSecrets[0].name=5",
  );
  const problems = manifests.flatMap((each) =>
    (schemaProblems(each) ?? []).map((problem) => `${each["kind"]}/${each["metadata"].name}: ${problem}`),
  );
  expect(problems).toEqual([]);
  expect(schemaProblems({ ...manifests[0], metadata: { name: "x", labels: { a: 1000 } } })).not.toEqual([]);
});

it("a probe that is null is left out", () => {
  const manifests = render(["--set", "probes.startup=null,probes.liveness=null,probes.readiness=null"]);
  for (const component of ["control-plane", "worker"]) {
    const { spec } = pick(manifests, "Deployment", `fleet-ringfleet-${component}`)["spec"].template;
    expect(Object.keys(spec.containers[0]).filter((key) => key.endsWith("Probe"))).toEqual([]);
  }
});

it("a password beside a URL from a Secret may come from a variable of one's own", () => {
  const urls = ["-f", join(CHART, "ci", "external-urls-values.yaml")];
  const own = "worker.extraEnv[0].name=REDIS_PASSWORD,worker.extraEnv[0].valueFrom.secretKeyRef.name=cache";
  const { spec } = pick(render([...urls, "--set", own]), "Deployment", "fleet-ringfleet-worker")["spec"]
    .template;
  const names = spec.containers[0].env.map(({ name }: Manifest) => name);
  expect(names.filter((name: string) => name === "REDIS_PASSWORD")).toHaveLength(1);
});

it("every pod has a ServiceAccount of its component's own, or the one that the values name", () => {
  const accounts = (manifests: Manifest[]) =>
    Object.fromEntries(podSpecs(manifests).map(([label, spec]) => [label, spec["serviceAccountName"]]));
  const own = renderText();
  const names = Object.values(accounts(own)).map((name) => name.replace("fleet-ringfleet-", ""));
  expect(names.sort()).toEqual(
    ["control-plane", "control-plane", "migrate", "postgresql", "redis", "worker"].sort(),
  );
  for (const { kind, metadata, automountServiceAccountToken } of own) {
    if (kind === "ServiceAccount") expect(automountServiceAccountToken, metadata.name).toBe(false);
  }
  const components = ["controlPlane", "worker", "postgresql", "redis", "migrations"];
  const without = render(components.flatMap((name) => ["--set", `${name}.serviceAccount.create=false`]));
  expect(without.filter(({ kind }) => kind === "ServiceAccount")).toEqual([]);
  expect(new Set(Object.values(accounts(without)))).toEqual(new Set(["default"]));
});
