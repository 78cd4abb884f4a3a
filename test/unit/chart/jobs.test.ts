import { join } from "node:path";
import { expect, it } from "vitest";
import { CHART, type Manifest, pick, podSpecs, render } from "../../chart/rendering.js";

/** The pods that use the control plane's image: its own, the migration Job's and that of `helm test`. */
function podsOfItsImage(): [string, Manifest][] {
  const pods = podSpecs(render(["-f", join(CHART, "ci", "full-values.yaml")]));
  return pods.filter(([label]) => /control-plane$|-migrate-|-test$/.test(label));
}

it("the Job and helm test get the nodes, variables and volumes that the control plane needs to reach the stores", () => {
  expect(podsOfItsImage().map(([label]) => label.split("/")[0])).toEqual(["Deployment", "Job", "Pod"]);
  for (const [label, spec] of podsOfItsImage()) {
    expect(spec, label).toMatchObject({
      nodeSelector: { "example.com/pool": "fleet" },
      tolerations: [{ key: "pool", operator: "Exists" }],
      volumes: expect.arrayContaining([{ name: "company", configMap: { name: "company-ca" } }]),
    });
    for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
      expect(container.env, label).toContainEqual({
        name: "NODE_EXTRA_CA_CERTS",
        value: "/etc/company/ca.crt",
      });
      expect(container.envFrom, label).toContainEqual({ secretRef: { name: "company-proxy" } });
      expect(container.volumeMounts, label).toContainEqual({
        name: "company",
        mountPath: "/etc/company",
        readOnly: true,
      });
    }
  }
});

it("as a hook the Job has all that it names before the release is there", () => {
  const manifests = render(["-f", join(CHART, "ci", "external-values.yaml")]);
  const weights = new Map(
    manifests
      .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === "pre-install,pre-upgrade")
      .map(({ kind, metadata }) => [
        `${kind}/${metadata.name}`,
        Number(metadata.annotations["helm.sh/hook-weight"]),
      ]),
  );
  expect([...weights].sort()).toEqual([
    ["ConfigMap/fleet-ringfleet-migrate", -10],
    ["Job/fleet-ringfleet-migrate", 0],
    ["NetworkPolicy/fleet-ringfleet-migrate", -10],
    ["Secret/fleet-ringfleet-migrate", -10],
    ["ServiceAccount/fleet-ringfleet-migrate", -10],
  ]);
  const { spec } = pick(manifests, "Job", "fleet-ringfleet-migrate")["spec"].template;
  expect(spec.serviceAccountName).toBe("fleet-ringfleet-migrate");
});

it("a service mesh can be kept out of the Job's pods, which would never end with its sidecar", () => {
  const job = render([
    "--set-string",
    "migrations.podAnnotations.sidecar\\.istio\\.io/inject=false",
    "--set-string",
    "migrations.podLabels.sidecar\\.istio\\.io/inject=false",
  ]).find(({ kind }) => kind === "Job") as Manifest;
  const { labels, annotations } = job["spec"].template.metadata;
  expect([labels, annotations]).toEqual(
    Array(2).fill(expect.objectContaining({ "sidecar.istio.io/inject": "false" })),
  );
});

it("a Job that has failed for good leaves its pods, whose logs say why", () => {
  const job = render().find(({ kind }) => kind === "Job") as Manifest;
  expect(job["spec"].template.spec.restartPolicy).toBe("Never");
});

it("whoever isn't ready keeps no node from being drained", () => {
  const budgets = render().filter(({ kind }) => kind === "PodDisruptionBudget");
  expect(budgets).toHaveLength(2);
  for (const { spec } of budgets) {
    expect(spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  }
});

it("the role of the processes sees others' sessions, which the alert on old snapshots is about", () => {
  const script = pick(render(), "ConfigMap", "fleet-ringfleet-postgresql")["data"]["10-role.sh"];
  expect(script).toMatch(/CREATE ROLE :"role".*\nGRANT pg_read_all_stats TO :"role";/);
  const failover = render(["-f", join(CHART, "ci", "failover-values.yaml")]);
  const { initdb } = pick(failover, "Cluster", "fleet-ringfleet-pg")["spec"].bootstrap;
  expect(initdb.postInitApplicationSQL).toEqual([`GRANT pg_read_all_stats TO ${initdb.owner}`]);
});
